"""Rows become files by size and time. Rows that cannot be written are counted, and later rows are written again."""

import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.served_log.reading import read_lists
from services.logs.folder import LogFolder
from services.logs.writer import LogWriter
from tests.pipelines import FEATURES
from tests.services.logs.lists import KEYS, Counts, FullDisk, batch_of, config, folder, opened, shown


def files_in(root: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in (root / "log").glob("*"))


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 3)),
        min_size=1,
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_shown_lists_are_read_back_for_any_batches_and_order(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[list[int], int]], random: object
) -> None:
    root, counts = tmp_path_factory.mktemp("log"), Counts()
    writer = LogWriter(config(), folder(root), counts)
    rows = [
        shown(batch_of(lengths, f"r{release}"), request, f"{number}-{request}", 10.0 * number + request)
        for number, (lengths, release) in enumerate(drawn)
        for request in range(len(lengths))
    ]
    random.shuffle(rows)  # type: ignore[attr-defined]
    half = len(rows) // 2
    writer.add(rows[:half], 0.0)
    writer.add(rows[half:], 0.0)
    writer.roll(0.0, everything=True)
    some = sorted((row for row in rows if not row.is_empty()), key=lambda row: row.at_s)
    assert counts.totals == ({"lists": len(some)} if some else {})
    if not some:
        return
    result = read_lists([root / "log"], FEATURES)
    assert list(result.request_ids) == [row.request_id for row in some]
    assert list(result.user_ids) == [row.user_id for row in some]
    for number, row in enumerate(some):
        wanted = row.batch.take(np.array([row.request]))
        got = result.batch.take(np.array([number]))
        span = slice(result.batch.offsets[number], result.batch.offsets[number + 1])
        np.testing.assert_array_equal(result.keys[span], KEYS[wanted.rows])
        np.testing.assert_array_equal(result.scores[span], wanted.candidates["score"])
        assert result.positions[span].tolist() == list(range(wanted.candidate_count))
        np.testing.assert_array_equal(got.requests["user.bias"], wanted.requests["user.bias"])
        np.testing.assert_array_equal(got.requests["user.history"][0], wanted.requests["user.history"][0])


def test_files_roll_by_time_and_size_per_kind_and_release(tmp_path: Path) -> None:
    counts = Counts()
    writer = LogWriter(config(roll_s=60.0, roll_bytes=4096), folder(tmp_path), counts)
    writer.add([shown(batch_of([2]), 0, "a"), opened("a", 1001)], 100.0)
    writer.roll(159.0)
    assert not (tmp_path / "log").exists()
    writer.add([shown(batch_of([2], "r2"), 0, "b")], 159.0)
    writer.roll(160.0)
    assert files_in(tmp_path) == ["feedback", "lists"]
    writer.roll(219.0)
    assert files_in(tmp_path) == ["feedback", "lists", "lists"]
    writer.add([shown(batch_of([3] * 60), i, f"c{i}") for i in range(60)], 300.0)
    writer.roll(300.0)
    assert files_in(tmp_path) == ["feedback", "lists", "lists", "lists"]
    assert counts.totals == {"lists": 62, "feedback": 1}


def test_counts_rows_lost_on_a_full_disk_and_writes_again_once_there_is_space(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk, counts = FullDisk(), Counts()
    writer = LogWriter(config(roll_s=60.0, roll_bytes=4096), LogFolder(disk, "/disk"), counts)
    many = [shown(batch_of([3] * 60), i, f"c{i}") for i in range(60)]
    for now_s in (0.0, 1.0, 2.0):
        writer.add(many, now_s)
        writer.roll(now_s)
    assert counts.totals == {"target": 180}
    assert len(caplog.records) == 1, "a full disk must not flood the replica's log"
    writer.add([shown(batch_of([2]), 0, "a")], 10.0)
    writer.roll(70.0)
    assert counts.totals == {"target": 180}, "a few rows wait for the next time"
    disk.full = False
    writer.roll(129.0)
    assert counts.totals["lists"] == 0
    writer.roll(130.0)
    assert counts.totals == {"target": 180, "lists": 1}
    assert [name.endswith(".parquet") for name in disk.find("/disk")] == [True]
    assert "is written to /disk again" in caplog.text


def test_removes_partial_file_when_the_quota_is_exceeded(tmp_path: Path) -> None:
    counts = Counts()
    writer = LogWriter(config(), folder(tmp_path), counts)
    writer.add([shown(batch_of([2]), 0, "a")], 0.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        writer.roll(60.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "log").iterdir()) == []
    assert counts.totals == {}, "a few rows wait for the next time"
    writer.roll(120.0)
    assert counts.totals == {"lists": 1}
    assert files_in(tmp_path) == ["lists"]


def test_remaining_rows_are_tried_once_at_the_end_and_counted(tmp_path: Path) -> None:
    counts = Counts()
    (tmp_path / "log").write_text("a file where the folder would be")
    writer = LogWriter(config(), folder(tmp_path), counts)
    writer.add([shown(batch_of([2]), 0, "a"), opened("a", 1000)], 0.0)
    writer.roll(0.0, everything=True)
    assert counts.totals == {"target": 2}


def test_drops_answer_without_features_and_logs_the_others(tmp_path: Path) -> None:
    counts = Counts()
    writer = LogWriter(config(), folder(tmp_path), counts)
    whole = batch_of([2])
    bare = whole.keep(np.array([0]), np.array([0, 1])).take(np.array([0]))
    bare = type(bare)(offsets=bare.offsets, rows=bare.rows, candidates=bare.candidates, release="r1")
    writer.add([shown(bare, 0, "a"), shown(whole, 0, "b"), shown(bare, 0, "c")], 0.0)
    writer.roll(0.0, everything=True)
    assert counts.totals == {"unfit": 2, "lists": 1}
    result = read_lists([tmp_path / "log"], FEATURES)
    assert list(result.request_ids) == ["b"]
