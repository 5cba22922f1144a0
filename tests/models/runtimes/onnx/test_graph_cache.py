"""The cache of optimised graphs: same scores, entries that are whole or absent, and an unchanged artifact."""

import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.atomic_directory import written_whole
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx import OnnxRuntime
from models.signature import Inputs
from tests.models.runtimes.onnx.graphs import SIGNATURE, WIDTH, write_graph

INPUTS: Inputs = {"x": np.random.default_rng(1).normal(size=(7, WIDTH)).astype(np.float32)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model" / "model.onnx"
    write_graph(path)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def scores(path: Path, cache: Path | None = None, **options: Any) -> bytes:
    return (
        OnnxRuntime(path, SIGNATURE, OnnxConfig(graph_cache=cache, **options)).run(INPUTS)["score"].tobytes()
    )


def entries(cache: Path) -> dict[str, int]:
    """Return the inode of each entry, which changes if an entry is written again."""
    return {entry.name: entry.stat().st_ino for entry in cache.iterdir()}


def test_second_load_uses_the_entry_of_the_first(path: Path, cache: Path) -> None:
    expected = scores(path)
    assert scores(path, cache) == expected
    first = entries(cache)
    assert len(first) == 1
    assert scores(path, cache) == expected
    assert entries(cache) == first


def test_artifact_is_unchanged(path: Path, cache: Path) -> None:
    def state() -> list[tuple[str, bytes, int]]:
        return [(p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(path.parent.iterdir())]

    before = state()
    scores(path, cache)
    scores(path, cache)
    assert state() == before


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [Path.unlink, truncate, flip, lambda path: path.write_text("[]")])
@pytest.mark.parametrize("name", ["graph.onnx", "weights.bin", "sha256.json"])
def test_damaged_entry_is_replaced(path: Path, cache: Path, name: str, damage: Callable[[Path], Any]) -> None:
    expected = scores(path, cache)
    (entry,) = cache.iterdir()
    whole = {file.name: file.read_bytes() for file in entry.iterdir()}
    damage(entry / name)
    assert scores(path, cache) == expected
    assert {file.name: file.read_bytes() for file in entry.iterdir()} == whole


def test_other_level_and_other_model_have_entries_of_their_own(path: Path, cache: Path) -> None:
    scores(path, cache)
    scores(path, cache, graph_optimization_level="basic")
    assert len(entries(cache)) == 2
    write_graph(path, seed=1)
    assert scores(path, cache) == scores(path)
    assert len(entries(cache)) == 3


def test_changed_weights_beside_the_same_graph_have_an_entry_of_their_own(
    tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "beside" / "model.onnx"
    write_graph(path, weights_beside=True)
    graph = path.read_bytes()
    before = scores(path, cache)
    write_graph(path, seed=1, weights_beside=True)
    assert path.read_bytes() == graph
    assert scores(path, cache) == scores(path) != before


def test_entry_needs_nothing_of_the_artifact(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "beside" / "model.onnx"
    write_graph(path, weights_beside=True)
    expected = scores(path, cache)
    shutil.copytree(path.parent, tmp_path / "moved")
    shutil.rmtree(path.parent)
    assert scores(tmp_path / "moved" / "model.onnx", cache) == expected
    assert len(entries(cache)) == 1


def test_model_loads_while_another_process_writes_the_entry(path: Path, cache: Path) -> None:
    expected = scores(path, cache)
    (entry,) = cache.iterdir()
    shutil.rmtree(entry)
    with written_whole(entry):
        assert scores(path, cache) == expected
    assert list(entry.iterdir()) == []


def test_loads_at_the_same_time_write_one_whole_entry(path: Path, cache: Path) -> None:
    expected = scores(path)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: scores(path, cache), range(8))) == {expected}
    assert len(entries(cache)) == 1
    assert scores(path, cache) == expected


def test_model_loads_without_a_cache_that_cannot_be_written(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert scores(path, tmp_path / "file") == scores(path)
    assert "runtime.graph_cache" in caplog.text


def test_unused_entries_and_no_other_files_are_removed(path: Path, cache: Path) -> None:
    scores(path, cache)
    (used,) = cache.iterdir()
    unused, foreign = cache / ("0" * 32), cache / "notes"
    shutil.copytree(used, unused)
    foreign.mkdir()
    for folder in (unused, foreign):
        os.utime(folder, (0, 0))
    scores(path, cache, graph_optimization_level="basic")
    assert used.exists() and foreign.exists() and not unused.exists()
