import numpy as np
import pytest

from autoscale.errors import TraceError
from autoscale.simulator.arrivals import Chunk, Rates, checked, drawn


def chunk(times_s: list[float], candidates: list[int] | None = None) -> Chunk:
    counts = [200] * len(times_s) if candidates is None else candidates
    return np.array(times_s, np.float64), np.array(counts, np.int32)


def test_consecutive_chunks_are_accepted_and_empty_ones_are_dropped() -> None:
    chunks = [chunk([0.0, 1.0]), chunk([]), chunk([1.0, 2.5])]
    assert [times_s.tolist() for times_s, _ in checked(chunks)] == [[0.0, 1.0], [1.0, 2.5]]


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([], "no requests"),
        ([chunk([])], "no requests"),
        ([chunk([0.0, 2.0, 1.0])], r"times_s\[2\]: must be at least the time before it, 2.0, got 1.0; sort"),
        (
            [chunk([0.0, 2.0]), chunk([1.0])],
            r"times_s\[2\]: must be at least the time before it, 2.0, got 1.0; sort",
        ),
        ([chunk([-1.0])], r"times_s\[0\]: must be finite and at least 0, got -1.0"),
        ([chunk([0.0, float("nan")])], r"times_s\[1\]: must be finite and at least 0, got nan"),
        ([chunk([0.0], [0])], r"candidates\[0\]: must be from 1 to 2\^31 - 1, got 0"),
        ([(np.zeros(2), np.ones(3, np.int32))], r"expected the shape \(2,\) of the times, got shape \(3,\)"),
    ],
)
def test_error_of_invalid_trace_names_the_index(chunks: list[Chunk], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        list(checked(chunks))


@pytest.mark.parametrize(
    ("rates", "candidates", "message"),
    [
        ([], 200, r"at least one step, got shape \(0,\)"),
        ([1.0, -1.0], 200, r"requests_per_s\[1\]: must be finite and at least 0, got -1.0"),
        ([1.0, float("nan")], 200, r"requests_per_s\[1\]: must be finite and at least 0, got nan"),
        ([1.0], 0.0, r"candidates\[0\]: must be finite and at least 1, got 0.0"),
        ([1.0, 2.0], np.array([200.0]), r"the shape \(2,\) of requests_per_s, got shape \(1,\)"),
    ],
)
def test_rejects_invalid_rates(
    rates: list[float], candidates: "float | np.ndarray[tuple[int], np.dtype[np.float64]]", message: str
) -> None:
    with pytest.raises(TraceError, match=message):
        Rates(0.0, 1.0, np.array(rates), candidates)


def test_drawn_requests_follow_the_rate_in_order_and_depend_only_on_the_seed() -> None:
    rates = Rates(10.0, 2.0, np.array([1000.0, 0.0, 3000.0]), np.array([100.0, 1.0, 200.0]))
    chunks = list(checked(drawn(rates, seed=1, at_most=1000)))
    times_s = np.concatenate([times_s for times_s, _ in chunks])
    candidates = np.concatenate([candidates for _, candidates in chunks])
    assert np.histogram(times_s, [10, 12, 14, 16])[0] == pytest.approx([2000, 0, 6000], rel=0.1)
    assert set(candidates[times_s < 12]) == {100}
    assert set(candidates[times_s >= 14]) == {200}
    again = np.concatenate([times_s for times_s, _ in drawn(rates, seed=1, at_most=1000)])
    assert np.array_equal(again, times_s)
