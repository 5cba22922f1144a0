"""Recorded batches: other replicas' concurrent batches, and the share of time in which replicas ran batches."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.errors import TraceError
from autoscale.spec import Key
from autoscale.traces.recorded_batches import RecordedBatches, read_batches
from services.logs.traffic import RecordConfig, TrafficLog

PIPELINE = '{"units": {"main": {"stages": ["features", "ranker"]}}}'
Batch = tuple[float, float]
"""Start and end, in seconds."""


def recorded(replicas: list[list[Batch]]) -> RecordedBatches:
    rows = sorted(
        (ended_s, ended_s - began_s, number)
        for number, batches in enumerate(replicas)
        for began_s, ended_s in batches
    )
    ended_s, seconds, numbers = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows), np.int32)
    return RecordedBatches(ended_s, seconds, ones, 10 * ones, numbers, len(replicas))


def test_share_of_time_in_which_other_replicas_ran() -> None:
    batches = recorded([[(0.0, 1.0), (3.0, 4.0)], [(0.5, 2.5)], [(0.0, 0.5), (0.5, 1.0), (3.5, 4.0)]])
    beside = dict(zip(zip(batches.ended_s, batches.replica, strict=True), batches.beside(), strict=True))
    assert beside[1.0, 0] == pytest.approx((0.5 + 1.0) / 2)
    assert beside[4.0, 0] == pytest.approx(0.5 / 2)
    assert beside[2.5, 1] == pytest.approx((0.25 + 0.25) / 2)
    assert batches.running(0.0, 4.0) == pytest.approx((2.0 + 2.0 + 1.5) / 12)
    assert batches.running(3.5, 4.0) == pytest.approx((0.5 + 0.0 + 0.5) / 1.5)


def test_single_replica_has_no_concurrent_batches() -> None:
    assert recorded([[(0.0, 1.0), (1.0, 2.0)]]).beside().tolist() == [0.0, 0.0]


STRETCHES = st.lists(st.integers(1, 40), min_size=2, max_size=12)


@given(st.lists(STRETCHES, min_size=1, max_size=4))
def test_shares_match_a_count_in_steps_of_a_hundredth_second(replicas: list[list[int]]) -> None:
    """Each list alternates pauses and batches, in hundredths of a second."""
    moments = [np.cumsum(lengths).tolist() for lengths in replicas]
    batches = [list(zip(at[::2], at[1::2], strict=False)) for at in moments]
    ran = np.zeros((len(replicas), max(at[-1] for at in moments) + 1), bool)
    for number, each in enumerate(batches):
        for began, ended in each:
            ran[number, began:ended] = True
    result = recorded([[(began / 100, ended / 100) for began, ended in each] for each in batches])
    for ended_s, took_s, number, beside in zip(
        result.ended_s, result.seconds, result.replica, result.beside(), strict=True
    ):
        during = slice(round((ended_s - took_s) * 100), round(ended_s * 100))
        others = np.delete(ran, number, axis=0)[:, during]
        assert beside == pytest.approx(others.mean() if len(others) else 0.0, abs=1e-6)
    assert result.running(0.0, ran.shape[1] / 100) == pytest.approx(ran.mean(), abs=1e-6)


def test_reads_batches_of_several_replicas(tmp_path: Path) -> None:
    moments = iter([100.0, 101.0, 102.0, 103.0])
    for source in ("r1", "r2"):
        log = TrafficLog(RecordConfig(path="traffic"), tmp_path, PIPELINE, source, lambda: next(moments))
        log.note("batch", "main", "local", 3, 60, 500.0)
        log.note("batch", "main", "local", 1, 20, 250.0)
        log.close()
    (key, batches), *others = read_batches(tmp_path / "traffic", 100.5, 200.0).items()
    assert (key, others) == (Key("main", "local"), [])
    assert batches.ended_s.tolist() == [101.0, 102.0, 103.0]
    assert batches.seconds.tolist() == [0.25, 0.5, 0.25]
    assert batches.requests.tolist() == [1, 3, 1]
    assert batches.candidates.tolist() == [20, 60, 20]
    assert batches.replica.tolist() == [0, 1, 1]
    assert read_batches(tmp_path / "traffic", 0.0, 1.0) == {}
    with pytest.raises(TraceError, match="no recorded traffic"):
        read_batches(tmp_path, 0.0, 1.0)
