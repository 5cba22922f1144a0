"""The contention fit recovers the parameters of generated batches."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autoscale.capacity.service_time import ServiceTime, service_time
from autoscale.profiles import Profile, Timing
from autoscale.traces.recorded_batches import RecordedBatches
from services.profiling.contention import fit_contention


def isolated() -> ServiceTime:
    """Return isolated times: 10 ms for one request with 100 candidates, 20 ms for two."""
    timings = (
        Timing(requests=1, candidates=100, p50_ms=10, p99_ms=10, mean_ms=10, runs=9),
        Timing(requests=2, candidates=200, p50_ms=20, p99_ms=20, mean_ms=20, runs=9),
    )
    return service_time(
        Profile(unit="main", pool="local", machine="none", timings=timings, startup_s=1, memory_mib=1)
    )


def batches(ratio: float, contention: float, sigma: float, count: int = 2000) -> RecordedBatches:
    """Return generated batches of two replicas.

    In turn, the first replica runs a batch alone, then the second, then both at once.
    """
    random = np.random.default_rng(1)
    requests = random.integers(1, 3, count)
    turn = np.arange(count) % 3
    noise: NDArray[np.float64] = np.exp(sigma * random.standard_normal(count) - sigma**2 / 2)
    seconds = 0.01 * requests * ratio * np.where(turn == 2, 1 + contention, 1.0) * noise
    ended_s: NDArray[np.float64] = np.arange(count) + seconds
    ran = [turn != 1, turn != 0]
    rows = sorted(
        (ended_s[batch], batch, number) for number in (0, 1) for batch in np.flatnonzero(ran[number])
    )
    order = [batch for _, batch, _ in rows]
    batch_requests = requests[order].astype(np.int32)
    return RecordedBatches(
        ended_s[order],
        seconds[order],
        batch_requests,
        100 * batch_requests,
        np.array([number for _, _, number in rows]),
        2,
    )


def test_fit_finds_ratio_contention_and_spread() -> None:
    result = fit_contention(batches(ratio=1.05, contention=0.25, sigma=0.1), isolated())
    assert result.ratio == pytest.approx(1.05, rel=0.01)
    assert result.contention == pytest.approx(0.25, abs=0.02)
    assert result.neighbours == 1
    assert result.sigma == pytest.approx(0.1, rel=0.1)


def test_fit_finds_no_contention_if_there_is_none() -> None:
    result = fit_contention(batches(ratio=0.9, contention=0.0, sigma=0.05), isolated())
    assert result.ratio == pytest.approx(0.9, rel=0.02)
    assert result.contention < 0.02


def test_one_replica_has_no_contention() -> None:
    ones = np.ones(50, np.int32)
    lone = RecordedBatches(np.arange(50.0), np.full(50, 0.012), ones, 100 * ones, np.zeros(50, int), 1)
    result = fit_contention(lone, isolated())
    assert result.ratio == pytest.approx(1.2)
    assert (result.contention, result.neighbours) == (0.0, 0)
    assert result.sigma == pytest.approx(0.0, abs=1e-6)
