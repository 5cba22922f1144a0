"""Whatever happened before, a build has the bytes of a build over the same files in an empty folder."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import durable
from models.datasets import updating
from models.datasets.build import EventData
from models.datasets.config import EventsConfig
from models.datasets.files import csv_rows, event_rows, json_rows, parquet_rows
from models.datasets.files.problems import BadRows
from models.datasets.files.segment_store import FilesRead, SegmentStore
from models.datasets.files.segments import Segment
from models.datasets.updating import Update, ensure_event_data
from models.errors import ArtifactError, FolderBusy
from models.writers import writing_in
from tests.models.datasets.files.tables import config_of, shop_events, write
from tests.models.datasets.logs import make_log

SET = EventsConfig(set="movielens-100k", history=8)


class Stopped(Exception):
    """A build was interrupted."""


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of some 600 events has several segments, in every format."""
    monkeypatch.setattr(event_rows, "SEGMENT_ROWS", 100)
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 1500)
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 3000)
    monkeypatch.setattr(parquet_rows, "ROWS", 70)
    monkeypatch.setattr(durable, "_sync", lambda path: None)  # no power cut, but many builds


def written(folder: Path, name: str, begin: int, end: int, **changed: Any) -> Path:
    """Write some events of a small log. Parquet files have several row groups."""
    events = {column: values[begin:end] for column, values in {**shop_events(), **changed}.items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.suffix == ".parquet":
        pq.write_table(pa.table(events), path, row_group_size=90)
        return path
    return write(path, events)


def content(root: Path) -> dict[str, str]:
    """Return a hash of each file of a folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def fresh(config: EventsConfig, folder: Path, *, skip_bad: bool = False) -> dict[str, str]:
    """Return the content of a build in an empty folder."""
    data = EventData(folder / "fresh" / "data")
    ensure_event_data(config, data, skip_bad=skip_bad)
    found = content(data.root)
    shutil.rmtree(data.root.parent)
    return found


@contextmanager
def stopping_after(monkeypatch: pytest.MonkeyPatch, segments: int) -> Iterator[None]:
    """Stop builds after they have kept this number of segments."""
    saved = 0
    save = SegmentStore.save

    def stopping(store: SegmentStore, stamp: str, number: int, segment: Segment) -> None:
        nonlocal saved
        if saved == segments:
            raise Stopped
        save(store, stamp, number, segment)
        saved += 1

    with monkeypatch.context() as patch:
        patch.setattr(SegmentStore, "save", stopping)
        yield


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


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("segments", [1, 3])
def test_a_stopped_build_continues_within_a_file_and_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, segments: int
) -> None:
    events = shop_events()
    times = [
        "yesterday" if number in {7, 260, 470} else str(at_s) if number % 2 else f"{at_s}.5"
        for number, at_s in enumerate(events["timestamp"])
    ]
    path = written(tmp_path, name.removesuffix(".gz"), 0, 500, timestamp=times)
    if path.suffix == ".csv":  # rows without enough columns, before and after the place of the stop
        lines = path.read_text().splitlines()
        lines[5], lines[300] = "short", "short"
        path.write_text("\n".join(lines) + "\n")
    if name.endswith(".gz"):
        import gzip

        packed = gzip.compress(path.read_bytes())
        path = tmp_path / name
        path.write_bytes(packed)
    data = EventData(tmp_path / "data")
    with stopping_after(monkeypatch, segments), pytest.raises(Stopped):
        ensure_event_data(config_of(path), data, skip_bad=True)
    assert not data.root.exists()
    kept = content(data.segments)
    assert len(kept) == segments
    update = ensure_event_data(config_of(path), data, skip_bad=True)
    assert update.files == FilesRead(read=1, resumed=1)
    assert kept.items() <= content(data.segments).items()
    assert content(data.root) == fresh(config_of(path), tmp_path, skip_bad=True)


def test_counts_of_skipped_rows_are_those_of_all_files(tmp_path: Path) -> None:
    folder, data = tmp_path / "events", EventData(tmp_path / "data")
    bad = {"rating": [*shop_events()["rating"][:20], "good", *shop_events()["rating"][21:]]}
    written(folder, "a.csv", 0, 200, **bad)
    ensure_event_data(config_of(folder), data, skip_bad=True)
    written(folder, "b.csv", 200, 400)
    update = ensure_event_data(config_of(folder), data, skip_bad=True)
    assert update.files == FilesRead(reused=1, read=1)
    assert '"rating must be a finite number": 1' in data.manifest.read_text()
    assert "a.csv line 22" in data.skipped.read_text()
    assert content(data.root) == fresh(config_of(folder), tmp_path, skip_bad=True)


def test_a_kept_segment_with_bad_rows_is_no_excuse_for_them(tmp_path: Path) -> None:
    folder, data = tmp_path / "events", EventData(tmp_path / "data")
    bad = {"rating": [*shop_events()["rating"][:180], "good", *shop_events()["rating"][181:]]}
    written(folder, "a.csv", 0, 300, **bad)
    ensure_event_data(config_of(folder), data, skip_bad=True)
    written(folder, "b.csv", 300, 400)
    with pytest.raises(
        ArtifactError, match=r"a\.csv line 182: column rating must be a finite number, got 'good'"
    ):
        ensure_event_data(config_of(folder), data)


def test_a_time_that_was_in_the_future_is_an_event_when_it_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = written(tmp_path, "a.csv", 0, 300), EventData(tmp_path / "data")
    latest = max(shop_events()["timestamp"][:300])
    for now_s, reused in ((latest - 90_000.0, 0), (latest - 89_999.0, 1), (latest - 80_000.0, 0)):
        monkeypatch.setattr("time.time", lambda now_s=now_s: now_s)
        data.manifest.unlink(missing_ok=True)
        assert ensure_event_data(config_of(path), data, skip_bad=True).files == FilesRead(reused, 1 - reused)
        assert content(data.root) == fresh(config_of(path), tmp_path, skip_bad=True)


def test_segments_of_two_readings_that_do_not_fit_together_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, data = shop_events(), EventData(tmp_path / "data")
    order = np.argsort(events["timestamp"])[::-1]  # the times in the future are in the first segment
    newest_first = {name: [values[row] for row in order] for name, values in events.items()}
    path = written(tmp_path, "a.parquet", 0, 500, **newest_first)
    later_s = newest_first["timestamp"][80]
    for now_s, segments in ((later_s - 86_400.0, 9), (later_s + 900_000.0, 1)):
        monkeypatch.setattr("time.time", lambda now_s=now_s: now_s)
        with stopping_after(monkeypatch, segments), suppress(Stopped):
            ensure_event_data(config_of(path), data, skip_bad=True)
        data.manifest.unlink(missing_ok=True)
    ensure_event_data(config_of(path), data, skip_bad=True)
    assert content(data.root) == fresh(config_of(path), tmp_path, skip_bad=True)


@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content[:-100], lambda content: b"x" * 500]
)
def test_damaged_segments_are_read_again(tmp_path: Path, damage: Any) -> None:
    path, data = written(tmp_path, "a.csv", 0, 500), EventData(tmp_path / "data")
    ensure_event_data(config_of(path), data)
    whole = content(data.segments)
    for segment in list(data.segments.iterdir())[1:]:
        segment.write_bytes(damage(segment.read_bytes()))
    data.manifest.unlink()
    assert ensure_event_data(config_of(path), data).files.read == 1  # type: ignore[union-attr]
    assert content(data.segments) == whole


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


def test_a_folder_of_segments_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    path, data = written(tmp_path, "a.csv", 0, 500), EventData(tmp_path / "data")
    data.segments.write_text("a file")
    with pytest.raises(ArtifactError, match=r"data\.segments/.*cannot be written .*; delete .*only a cache"):
        ensure_event_data(config_of(path), data)
    assert not data.root.exists()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "change", "stop", "forget", "build"]),
        st.integers(0, 5),
        st.integers(0, 400),
    ),
    max_size=6,
)


@settings(max_examples=10)
@given(STEPS)
def test_any_order_of_changes_and_stops_gives_the_bytes_of_a_full_build(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    root = tmp_path_factory.mktemp("steps")
    folder, data = root / "events", EventData(root / "data")
    config = config_of(folder, max_lists=60)
    written(folder, "base.csv", 0, 500)
    for step, number, begin in steps:
        path = folder / f"day-{number}.csv"
        if step in {"add", "change"}:
            written(folder, path.name, begin, begin + 40 * (number + 1))
        elif step == "remove":
            path.unlink(missing_ok=True)
        elif step == "forget":
            shutil.rmtree(data.segments, ignore_errors=True)
        elif step == "stop":
            with pytest.MonkeyPatch.context() as patch, stopping_after(patch, number), suppress(Stopped):
                ensure_event_data(config, data)
        else:
            ensure_event_data(config, data)
    ensure_event_data(config, data)
    assert content(data.root) == fresh(config, root)


def test_bad_rows_of_parts_add_up_to_those_of_the_whole() -> None:
    whole, first = BadRows(skip=True), BadRows(skip=True)
    for number in range(3):
        first.unreadable("a.csv", f"line {number}", "is short")
        whole.add(first.taken())
    assert whole.counts == {"row cannot be parsed": 3}
    assert [text.split(":")[0] for text in whole.listed] == ["a.csv line 0", "a.csv line 1", "a.csv line 2"]
    assert first == BadRows(skip=True)
    assert np.isinf(whole.until_s)
