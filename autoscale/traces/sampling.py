"""Samples single requests from bin counts. Arrival times are random, so that a trace is not too smooth."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from autoscale.traces.bins import Arrivals, Bins
from autoscale.traces.validation import MAX_CANDIDATES

CHUNK = 1_000_000
_MAX_PARTS = 100_000


def drawn(counts: Bins, index: int, rng: np.random.Generator) -> Iterator[Arrivals]:
    """Draw the requests in bin ``index``, in chunks."""
    whole, rest = divmod(float(counts.requests[index]), 1.0)
    total = int(whole) + int(rng.random() < rest)
    if not total:
        return
    start_s = counts.start_s + index * counts.step_s
    dispersion = float(counts.dispersion[index])
    parts = min(_MAX_PARTS, max(1, round(counts.step_s))) if dispersion else max(1, -(-total // CHUNK))
    weights = rng.gamma(1 / dispersion, size=parts) if dispersion else np.ones(parts)
    if weights.sum() <= 0:  # rounding, if nearly all requests arrive at once
        weights[int(rng.integers(parts))] = 1.0
    numbers = rng.multinomial(total, weights / weights.sum())
    edges_s = start_s + counts.step_s * np.arange(parts + 1) / parts
    first = 0
    while first < parts:
        last = first + max(1, int(np.searchsorted(np.cumsum(numbers[first:]), CHUNK)))
        owned = np.repeat(np.arange(first, min(last, parts)), numbers[first:last])
        times = edges_s[owned] + rng.random(len(owned)) * (counts.step_s / parts)
        times.sort()
        first = last
        if len(times):
            yield Arrivals(times, _candidates(counts, index, len(times), rng))


def _candidates(counts: Bins, index: int, size: int, rng: np.random.Generator) -> NDArray[np.int32]:
    mean, cv = float(counts.candidates[index]), float(counts.candidates_cv[index])
    sizes = rng.gamma(1 / cv**2, mean * cv**2, size) if cv else np.full(size, mean)
    numbers = np.floor(sizes + rng.random(size))  # random rounding keeps the mean
    return np.clip(numbers, 1, MAX_CANDIDATES).astype(np.int32)
