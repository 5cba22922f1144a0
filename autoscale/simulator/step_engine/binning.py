"""The step engine's input: a trace's rates, and a sample of request sizes in candidates."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.simulator.arrivals import Chunk, Rates
from autoscale.simulator.trace_feed import Feed

_SAMPLE = 4096


def binned(
    chunks: Iterable[Chunk], step_s: float, start_s: float | None, end_s: float | None
) -> tuple[Rates, NDArray[np.int32]]:
    """Return a trace's rates in steps of ``step_s``, and a sample of request sizes in candidates.

    Raises:
        TraceError: the trace has no requests, or is not sorted.
    """
    feed = Feed(chunks, start_s, end_s)
    first_s = start_s if start_s is not None else float(np.floor(feed.start_s / step_s) * step_s)
    requests, candidates, until_s = list[float](), list[float](), first_s
    sample = np.zeros(0, np.int32)
    while feed.end_s(until_s) == float("inf"):
        until_s = first_s + step_s * (len(requests) + 1)
        feed.read_to(until_s)
        last = int(np.searchsorted(feed.times_s, until_s))
        arrived = feed.candidates[feed.position : last]
        if len(sample) < _SAMPLE:
            sample = np.concatenate([sample, arrived[: _SAMPLE // 16 + 1]])
        requests.append(len(arrived) / step_s)
        candidates.append(float(arrived.mean()) if len(arrived) else 1.0)
        feed.position = last
    if not requests:
        raise TraceError("the trace has no requests; there is nothing to simulate")
    return Rates(first_s, step_s, np.array(requests), np.array(candidates)), sample


def sizes_of(rates: Rates) -> NDArray[np.int32]:
    """Return a sample with one element: the mean candidates over all requests.

    Raises:
        TraceError: all rates are 0.
    """
    total = float(rates.requests_per_s.sum())
    if not total:
        raise TraceError("requests_per_s: all rates are 0; there is nothing to simulate")
    mean = float((rates.requests_per_s * rates.candidates).sum()) / total
    return np.array([max(1, round(mean))], np.int32)
