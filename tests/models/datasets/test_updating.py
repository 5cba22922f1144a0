"""Only new and changed files are read, and the data has the bytes of a full build."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from models.datasets import updating
from models.datasets.build import EventData
from models.datasets.config import EventsConfig
from models.datasets.files.segment_store import FilesRead
from models.datasets.updating import Update, ensure_event_data
from models.errors import FolderBusy
from models.writers import writing_in
from tests.models.datasets.builds import content, fresh, small_segments, written
from tests.models.datasets.files.tables import config_of
from tests.models.datasets.logs import make_log

SET = EventsConfig(set="movielens-100k", history=8)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(monkeypatch)


def test_builds_a_public_set_again_only_after_a_change_of_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updating, "read_events", lambda name: make_log())
    data = EventData(tmp_path / "data")
    assert ensure_event_data(SET, data) == Update(is_built=True)
    assert ensure_event_data(SET, data) == Update(is_built=False)
    assert ensure_event_data(SET.model_copy(update={"history": 9}), data) == Update(is_built=True)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_added_file_is_the_only_one_that_is_read(tmp_path: Path, suffix: str) -> None:
    folder, data = tmp_path / "my events", EventData(tmp_path / "a home" / "data")
    for day, (begin, end) in enumerate(pairwise((0, 150, 300, 500))):
        written(folder, f"{day}.{suffix}", begin, end)
        files = ensure_event_data(config_of(folder), data).files
        assert files == FilesRead(reused=day, read=1)
    assert str(files) == "2 files reused, 1 read"
    assert content(data.root) == fresh(config_of(folder), tmp_path)


def test_segments_of_changed_and_removed_files_are_deleted(tmp_path: Path) -> None:
    folder, data = tmp_path / "events", EventData(tmp_path / "data")
    for name, (begin, end) in zip("abc", pairwise((0, 90, 180, 270)), strict=True):
        written(folder, f"{name}.csv", begin, end)
    ensure_event_data(config_of(folder), data)
    before = set(data.segments.iterdir())
    (folder / "a.csv").unlink()
    written(folder, "b.csv", 300, 400)
    assert ensure_event_data(config_of(folder), data).files == FilesRead(reused=1, read=1)
    after = set(data.segments.iterdir())
    assert len(before & after) < len(before)
    assert len(after) <= 3
    assert content(data.root) == fresh(config_of(folder), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.segments", "events"]


def test_a_replaced_file_of_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    path, data = written(tmp_path, "events.csv", 0, 400), EventData(tmp_path / "data")
    ensure_event_data(config_of(path), data)
    before = path.stat()
    text = path.read_text()
    path.write_text(text.replace("u00,", "u99,"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert ensure_event_data(config_of(path), data).files == FilesRead(read=1)


def test_only_what_reading_depends_on_makes_files_read_again(tmp_path: Path) -> None:
    path, data = written(tmp_path, "events.csv", 0, 400), EventData(tmp_path / "data")
    ensure_event_data(config_of(path), data)
    other = ensure_event_data(config_of(path, history=4, train_share=0.7, merge="last"), data)
    assert other.files == FilesRead(reused=1)
    assert ensure_event_data(config_of(path, time={"unit": "ms"}), data).files == FilesRead(read=1)


def test_a_second_build_at_the_same_time_is_refused_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updating, "_WAIT_LIMIT_S", 0.0)
    path, data = written(tmp_path, "a.csv", 0, 500), EventData(tmp_path / "data")
    with writing_in(tmp_path / "data.segments.writing", 0.0, data.root):
        with pytest.raises(FolderBusy, match="wait until that process ends"):
            ensure_event_data(config_of(path), data)
        assert not data.segments.exists()
    ensure_event_data(config_of(path), data)
