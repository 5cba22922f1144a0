import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.capacity.service_time import service_time
from autoscale.profiles import Profile, Timing


def profile(*timings: tuple[int, int, float, float], cpu_ms: float = 0.0) -> Profile:
    """Return a profile with timings of (requests, candidates, mean ms, ratio of p99 to p50)."""
    return Profile(
        unit="ranker",
        pool="cpu",
        machine="imagined",
        timings=tuple(
            Timing(requests=r, candidates=c, p50_ms=mean, p99_ms=mean * spread, mean_ms=mean, runs=100)
            for r, c, mean, spread in timings
        ),
        startup_s=1,
        memory_mib=1,
        overhead_ms=3,
        overhead_cpu_ms=cpu_ms,
    )


def test_fit_reproduces_the_measurements() -> None:
    service = service_time(profile((1, 100, 3.0, 1.5), (2, 200, 4.0, 1.5), (8, 800, 16.0, 1.5)))
    assert service.batch_s([1, 2, 8], [100, 200, 800]) * 1000 == pytest.approx([3, 4, 16])
    assert service.batch_s(1, 0) * 1000 == pytest.approx(2)
    assert service.batch_s(1, 1400) * 1000 == pytest.approx(28)
    assert service.sigma == pytest.approx(math.log(1.5) / 2.326, rel=1e-3)
    assert service.overhead_s == 0.003


def test_fits_time_per_request_if_it_can_be_separated_from_candidates() -> None:
    measured = [(r, c, 1 + 0.5 * r + 0.01 * c, 1.2) for r in (1, 4, 16) for c in (100, 400, 1600)]
    service = service_time(profile(*measured, cpu_ms=2))
    assert service.per_request_s == pytest.approx(0.0005)
    assert service.batch_s(10, 1000) == pytest.approx(0.016)
    assert service.busy_s(10, 1000) == pytest.approx(0.036)


def test_smaller_batches_take_the_single_measured_time_and_larger_ones_in_proportion() -> None:
    service = service_time(profile((1, 200, 5.0, 1.0)))
    assert service.batch_s(1, [1, 200, 600]) * 1000 == pytest.approx([5, 5, 15])
    assert service.sigma == 0


def test_times_include_contention_and_relief_removes_it() -> None:
    bare = profile((1, 100, 4.0, 1.5), (2, 200, 8.0, 1.5))
    contended = bare.model_copy(
        update={"served_ratio": 1.5, "contention": 0.25, "neighbours": 3, "served_sigma": 0.2}
    )
    service = service_time(contended)
    assert service.batch_s(2, 200) == pytest.approx(0.015)
    assert service.batch_s(2, 200) * (1 - service.relief) == pytest.approx(0.012)
    assert (service.neighbours, service.sigma) == (3, 0.2)
    assert service_time(bare).relief == 0


TIMINGS = st.lists(
    st.tuples(st.integers(1, 64), st.integers(1, 5000), st.floats(0.01, 500), st.floats(0.5, 10)),
    min_size=1,
    max_size=12,
    unique_by=lambda timing: timing[:2],
)


@given(TIMINGS)
def test_batch_time_never_decreases_with_size_for_any_profile(
    timings: list[tuple[int, int, float, float]],
) -> None:
    service = service_time(profile(*timings))
    sizes = np.linspace(0, 10_000, 50)
    times = service.batch_s(1, sizes)
    assert np.isfinite(times).all()
    assert (times >= 0).all()
    assert (np.diff(times) >= -1e-12).all()
    assert service.sigma >= 0
    assert service.per_request_s >= 0
