import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.capacity.batch_queue import BatchQueue, candidates_per_s_within
from autoscale.capacity.service_time import ServiceTime


def affine(first_ms: float, candidate_ms: float, sigma: float) -> ServiceTime:
    return ServiceTime(
        candidates=np.array([0.0, 1000.0]),
        seconds=np.array([first_ms, first_ms + 1000 * candidate_ms]) / 1000,
        per_request_s=0.0,
        sigma=sigma,
    )


def simulated_p99_s(queue: BatchQueue, requests_per_s: float, count: int = 150_000) -> float:
    """Simulate Poisson arrivals and return their p99, which the formula must match."""
    random = np.random.default_rng(1)
    arrivals = np.cumsum(random.exponential(1 / requests_per_s, count))
    spread = np.exp(queue.service.sigma * random.standard_normal(count) - queue.service.sigma**2 / 2)
    busy_s, ends, first, now_s = queue.busy_s(), np.empty(count), 0, 0.0
    while first < count:
        now_s = max(now_s, arrivals[first])
        last = min(int(np.searchsorted(arrivals, now_s, side="right")), first + queue.max_requests)
        now_s += busy_s[last - first - 1] * spread[first]
        ends[first:last] = now_s
        first = last
    return float(np.quantile(ends - arrivals, 0.99))


@pytest.mark.parametrize("load", [0.1, 0.5, 0.8])
@pytest.mark.parametrize(
    ("service", "max_candidates"),
    [
        (affine(5, 0, 0.8), 200),
        (affine(2, 0.02, 0.1), 800),
        (affine(3, 0.001, 0.2), 16_384),
        (affine(0.1, 0.02, 0.4), 2048),
    ],
    ids=["batches of 1", "batches of 4", "batches of 81", "batches of 10"],
)
def test_p99_matches_a_simulated_replica(service: ServiceTime, max_candidates: int, load: float) -> None:
    queue = BatchQueue(service, 200, max_candidates)
    rate = load * queue.saturation_per_s
    assert queue.p99_s(rate) == pytest.approx(simulated_p99_s(queue, rate), rel=0.12)


def test_m_d_1_queue_matches_the_textbook() -> None:
    """Erlang (1909): at 80% load, the wait of M/D/1 exceeds 8.5 service times for 2.2% of the arrivals."""
    queue = BatchQueue(affine(10, 0, 0.0), 1, 1)
    rate, service_s, wait_s = 80.0, 0.01, 0.085
    later = 1 - (1 - 0.8) * sum(
        (rate * (k * service_s - wait_s)) ** k
        / math.factorial(k)
        * math.exp(-rate * (k * service_s - wait_s))
        for k in range(9)
    )
    assert queue.quantile_s(rate, 1 - later) == pytest.approx(wait_s + service_s, rel=0.06)


def test_highest_load_within_a_p99_reaches_that_p99() -> None:
    queue = BatchQueue(affine(2, 0.02, 0.2), 200, 2048)
    rate = queue.load_per_s(0.06)
    assert queue.p99_s(rate) == pytest.approx(0.06, rel=0.02)
    assert candidates_per_s_within(queue.service, 200, 2048, 0.06) == pytest.approx(200 * rate)
    assert queue.load_per_s(0.001) == 0
    assert queue.load_per_s(10) == pytest.approx(0.98 * queue.saturation_per_s)
    assert queue.p99_s(queue.saturation_per_s) == math.inf


def test_request_larger_than_a_batch_is_served_alone() -> None:
    queue = BatchQueue(affine(2, 0.02, 0.2), 5000, 512)
    assert queue.max_requests == 1
    assert queue.saturation_per_s == pytest.approx(1 / 0.102)


@settings(max_examples=30)
@given(
    st.floats(0.1, 50),
    st.floats(0, 0.1),
    st.floats(0, 1),
    st.integers(1, 4000),
    st.floats(1e-6, 0.979),
    st.sampled_from([(0.01, 0.5), (0.5, 0.99), (0.99, 0.999)]),
)
def test_quantiles_increase_with_their_level_and_exceed_the_service_time(
    first_ms: float, candidate_ms: float, sigma: float, size: int, load: float, levels: tuple[float, float]
) -> None:
    queue = BatchQueue(affine(first_ms, candidate_ms, sigma), size, 2000)
    rate = load * queue.saturation_per_s
    low_s, high_s = (queue.quantile_s(rate, level) for level in levels)
    assert 0 < low_s < high_s < math.inf
    assert queue.p99_s(rate) >= 0.98 * queue.alone_p99_s


@settings(max_examples=20)
@given(st.floats(0.1, 20), st.floats(0, 0.05), st.floats(0, 0.8), st.floats(1.05, 30))
def test_any_higher_load_would_exceed_the_p99(
    first_ms: float, candidate_ms: float, sigma: float, stretch: float
) -> None:
    queue = BatchQueue(affine(first_ms, candidate_ms, sigma), 200, 2000)
    p99_s, fullest = stretch * queue.alone_p99_s, 0.98 * queue.saturation_per_s
    rate = queue.load_per_s(p99_s)
    assert rate == 0 or queue.p99_s(rate) <= p99_s
    assert rate == fullest or queue.p99_s(rate + fullest / 4096) > p99_s
