"""The item texts' tokens are cached beside the catalogue, and are the same if they cannot be cached."""

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from models.durable import replacing
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray
from models.text import item_tokens as module
from models.text.item_tokens import item_texts, item_tokens
from models.text.tokenizer import TOKENIZER, PairTokenizer
from services.config.loading import load_config
from services.ingress.schema import RankRequest
from services.units.ingress_replica import build_engine
from tests.models.crashing import killed_at
from tests.pipelines import make_pipeline
from tests.texts import add_texts, score_of

MOST = 30


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made")
    make_pipeline(home)
    add_texts(home)
    return home


@pytest.fixture(name="home")
def _home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


def tokens_of(home: Path) -> RaggedArray:
    return item_tokens(Catalogue.open(home / "catalogue"), "details.text", home / "text" / TOKENIZER, MOST)


def assert_whole(home: Path, tokens: RaggedArray) -> None:
    catalogue = Catalogue.open(home / "catalogue")
    texts = list(item_texts(catalogue, "details.text", range(len(catalogue))))
    expected = PairTokenizer(home / "text" / TOKENIZER).tokens(texts, MOST)
    np.testing.assert_array_equal(tokens.offsets, expected.offsets)
    np.testing.assert_array_equal(tokens.values, expected.values)


def file_states(home: Path) -> dict[str, tuple[int, int]]:
    folder = home / "catalogue-tokens"
    return {path.suffix: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only even for root, as Kubernetes mounts it."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)
        return
    if subprocess.run(["mount", "--bind", folder, folder], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("with_other_tokens", [False, True])
def test_read_only_home_returns_the_same_tokens(home: Path, with_other_tokens: bool) -> None:
    if with_other_tokens:  # from an earlier catalogue
        (home / "catalogue-tokens").mkdir()
        (home / "catalogue-tokens" / "other.npy").touch()
    mounted = home if os.geteuid() == 0 or not with_other_tokens else home / "catalogue-tokens"
    with read_only(mounted):
        assert_whole(home, tokens_of(home))


def test_maps_existing_tokens_from_a_read_only_home(home: Path) -> None:
    tokens_of(home)
    with read_only(home):
        result = tokens_of(home)
        assert_whole(home, result)
        assert isinstance(result.values.base, np.memmap)


def test_engine_starts_with_a_read_only_home(home: Path) -> None:
    (home / "catalogue-tokens").mkdir()
    config = load_config(home / "pipeline.yaml")

    async def run() -> None:
        engine = build_engine(config, home, replica="test")
        try:
            request = RankRequest(user_id="u1", candidates=["item-0007"], context={"query": "sea"})
            answer = await engine.rank(request, "1")
            assert [item.score for item in answer.items] == [score_of("sea", "item-0007")]
        finally:
            engine.close()

    with read_only(home if os.geteuid() == 0 else home / "catalogue-tokens"):
        asyncio.run(run())


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\1\0\0\0")


def of_other_items(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


def descending(path: Path) -> None:
    offsets = np.load(path)
    offsets[1] = offsets[-1] + 1
    np.save(path, offsets)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(".ids", truncate), (".ids", emptied), (".ids", longer), (".ids", os.unlink)]
    + [(".npy", damage) for damage in (truncate, emptied, zeroed, of_other_items, descending, os.unlink)],
)
def test_makes_files_again_that_a_power_cut_damaged(
    home: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    tokens_of(home)
    (path,) = (home / "catalogue-tokens").glob(f"*{suffix}")
    damage(path)
    assert_whole(home, tokens_of(home))
    after = file_states(home)
    assert_whole(home, tokens_of(home))
    assert file_states(home) == after  # the files are not written again


def test_writers_of_equal_process_ids_do_not_disturb_each_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use threads, because they have equal process ids, like pods that share a volume."""
    monkeypatch.setattr(module, "_AT_ONCE", 16)
    together = threading.Barrier(4)

    def load() -> RaggedArray:
        together.wait(10)
        return tokens_of(home)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(load) for _ in range(4)]:
            assert_whole(home, future.result(30))
    assert sorted(file_states(home)) == [".ids", ".npy"]
    assert len(list((home / "catalogue-tokens").iterdir())) == 2


def test_removes_files_of_a_killed_writer_but_not_of_a_running_one(home: Path) -> None:
    folder = home / "catalogue-tokens"
    temporary_files, seen = 0, set[str]()

    def write() -> None:
        tokens_of(home)

    for call in range(1, 400, 3):
        killed = killed_at(call, write)
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        temporary = {name for name in names if name.endswith(".writing")}
        assert len(temporary - seen) == len(temporary) <= 1  # no file of an earlier writer
        seen |= temporary
        temporary_files += len(temporary)
        if not killed:
            break
        for name in names - temporary:
            (folder / name).unlink()
    assert not killed
    assert temporary_files > 1  # writers were killed while they wrote
    truncate(next(folder.glob("*.ids")))
    with replacing(folder / "other.ids") as file:
        file.write(b"of a writer at work")
        tokens_of(home)
    assert (folder / "other.ids").read_bytes() == b"of a writer at work"


def test_files_are_synced_before_they_get_their_final_names(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def recorded_sync(descriptor: int) -> None:
        steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).suffix[:4]}")
        sync(descriptor)

    def recorded_replace(source: Path, target: Path) -> None:
        steps.append(f"name {target.suffix}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    tokens_of(home)
    assert [step.split()[0] for step in steps] == ["sync", "name", "sync", "name", "sync"]
    assert [step for step in steps if step.startswith("name")] == ["name .ids", "name .npy"]
