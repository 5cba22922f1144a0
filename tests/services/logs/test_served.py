"""The log's queue and thread: nothing waits for them, losses are counted, and closing writes the remaining rows."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.served_log.reading import read_log
from services.errors import QueueFull
from services.logs.folder import LogFolder
from services.logs.served import ServedLog, is_sampled
from services.scheduling.job import Answer
from tests.models.worlds import FEEDBACK
from tests.pipelines import FEATURES
from tests.services.logs.lists import KEYS, Counts, FullDisk, batch_of, config, folder


def note(log: ServedLog, number: int) -> None:
    log.shown(Answer(batch_of([2, 3]), number % 2, 0.0, {}), f"r{number}", "u", FEATURES, KEYS)


def test_close_writes_remaining_rows(tmp_path: Path) -> None:
    counts = Counts()
    log = ServedLog(config(), folder(tmp_path), counts)
    for number in range(700):
        note(log, number)
        log.feedback(f"r{number}", 1000, "rated", 1.0)
    log.close()
    assert counts.totals == {"lists": 700, "feedback": 700}
    result, labels = read_log([tmp_path / "log"], FEATURES, FEEDBACK)
    assert len(result.batch) == 700
    np.testing.assert_array_equal(labels, result.keys == 1000)


def test_hanging_target_blocks_nobody_and_dropped_rows_are_counted(tmp_path: Path) -> None:
    class Hanging(FullDisk):
        full = False
        entered, release = threading.Event(), threading.Event()

        def makedirs(self, path: str, exist_ok: bool = False) -> None:
            self.entered.set()
            assert self.release.wait(30)
            super().makedirs(path, exist_ok)

    disk, counts = Hanging(), Counts()
    log = ServedLog(config(roll_bytes=1024, max_rows_waiting=50), LogFolder(disk, "/hangs"), counts)
    for number in range(50):
        note(log, number)
    assert disk.entered.wait(30)
    for number in range(80):
        note(log, 100 + number)
    with pytest.raises(QueueFull, match="the limit is 50") as refused:
        log.feedback("r1", 1000, "opened", 1.0)
    assert refused.value.retry_after_s == 1
    disk.release.set()
    log.close()
    assert counts.totals == {"lists": 100, "waiting": 31}


@given(st.floats(0.01, 1.0), st.integers(0, 2**40))
def test_sample_contains_the_configured_share_of_requests(share: float, first: int) -> None:
    ids = [f"862f2f7f4c21-{first + number:x}" for number in range(2000)]
    sampled = sum(is_sampled(each, share) for each in ids)
    # Six standard deviations and three requests. Near a share of 1 hardly any request is left out, so the normal
    # approximation does not hold there.
    assert abs(sampled / 2000 - share) < 6 * (share * (1 - share) / 2000) ** 0.5 + 3 / 2000


def test_feedback_is_sampled_with_its_list(tmp_path: Path) -> None:
    counts = Counts()
    log = ServedLog(config(sample=0.3), folder(tmp_path), counts)
    for number in range(300):
        note(log, number)
        log.feedback(f"r{number}", 1000, "walked", 1.0)
    log.close()
    assert counts.totals["lists"] == counts.totals["feedback"]
    assert 40 < counts.totals["lists"] < 150
