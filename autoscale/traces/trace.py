"""Traces: when requests come and how many candidates each has; one by one, or counted in bins of time.

Times are seconds on the trace's own clock; where it follows a week, 0 is Monday midnight. All is streamed: a trace may
be longer than memory. What a bin counts is laid out inside it by chance: evenly likely (Poisson, given the count), or
gathered in bursts (``dispersion``), so that no trace is smoother than its bins say.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.traces.bins import Arrivals, Bins, bins_from_sums, merged, split
from autoscale.traces.sampling import drawn
from autoscale.traces.validation import check_arrivals, check_bins, checked


class Trace(Protocol):
    """What comes, from ``start_s`` to ``end_s``."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def arrivals(self, seed: int) -> Iterator[Arrivals]:
        """Give every request in order, in chunks; the seed decides what chance has a say in.

        Raises:
            TraceError: what is read cannot be used.
        """
        ...

    def bins(self, step_s: float) -> Bins:
        """Count requests in bins of ``step_s``.

        Raises:
            TraceError: what is read cannot be used, or is too fine for that.
        """
        ...

    def scaled(self, factor: float) -> "Trace":
        """Give the same trace with ``factor`` times its requests."""
        ...


@dataclass(frozen=True, slots=True)
class BinnedTrace:
    """Counts by bins; single requests are drawn from them."""

    name: str
    counts: Bins

    def __post_init__(self) -> None:
        check_bins(self.counts, self.name)

    def arrivals(self, seed: int) -> Iterator[Arrivals]:
        """Draw every request; see ``Bins`` for how."""
        rng = np.random.default_rng(seed)
        for index in range(len(self.counts)):
            yield from drawn(self.counts, index, rng)

    def bins(self, step_s: float) -> Bins:
        """Give the counts in bins of ``step_s``, which divides the trace's own step or is a multiple of it.

        Narrower bins share a bin's count evenly: what comes in bursts inside it is for ``arrivals``.
        """
        counts = self.counts
        if np.isclose(step_s, counts.step_s):
            return counts
        return merged(counts, step_s) if step_s > counts.step_s else split(counts, step_s)

    def scaled(self, factor: float) -> "BinnedTrace":
        """Give the trace with ``factor`` times the requests."""
        return replace(self, counts=replace(self.counts, requests=self.counts.requests * checked(factor)))


@dataclass(frozen=True, slots=True)
class ArrivalTrace:
    """Requests one by one, read anew by every pass; each pass is checked as it goes."""

    name: str
    read: Callable[[], Iterator[Arrivals]]

    @classmethod
    def from_arrays(
        cls, times_s: NDArray[np.float64], candidates: NDArray[np.int32], name: str = "arrivals"
    ) -> "ArrivalTrace":
        """Give the trace of arrays in memory.

        Raises:
            TraceError: they cannot be used.
        """
        arrivals = Arrivals(np.asarray(times_s, np.float64), np.asarray(candidates, np.int32))
        trace = cls(name, lambda: iter((arrivals,)))
        for _ in trace.arrivals(0):
            pass
        return trace

    def arrivals(self, seed: int = 0) -> Iterator[Arrivals]:
        """Give every request in order."""
        last_s, number = -np.inf, 0
        for chunk in self.read():
            if not len(chunk):
                continue
            check_arrivals(chunk, last_s, number, self.name)
            last_s, number = float(chunk.times_s[-1]), number + len(chunk)
            yield chunk
        if not number:
            raise TraceError(f"{self.name}: is empty; add at least one request")

    def bins(self, step_s: float) -> Bins:
        """Count requests in bins of ``step_s``; the first begins at a multiple of it."""
        requests, candidates, squares = np.zeros(0), np.zeros(0), np.zeros(0)
        first = -1
        for chunk in self.arrivals():
            bins = (chunk.times_s // step_s).astype(np.int64)
            first = int(bins[0]) if first < 0 else first
            bins -= first
            size = int(bins[-1]) + 1
            if size > 100_000_000:
                raise TraceError(f"{self.name}: too many bins of {step_s:g} s, got {size}; use wider bins")
            if size > len(requests):  # doubled, so that a long trace is not copied at each chunk
                grown = max(size, 2 * len(requests))
                requests, candidates, squares = (
                    np.concatenate([column, np.zeros(grown - len(column))])
                    for column in (requests, candidates, squares)
                )
            low = int(bins[0])
            weights = chunk.candidates.astype(np.float64)
            for column, values in ((requests, None), (candidates, weights), (squares, weights**2)):
                column[low:size] += np.bincount(bins - low, values, size - low)
        used = size
        return bins_from_sums(first * step_s, step_s, requests[:used], candidates[:used], squares[:used])

    def scaled(self, factor: float) -> Trace:
        """Give bins of one second with ``factor`` times the requests: requests themselves cannot be split."""
        if factor == 1.0:
            return self
        return BinnedTrace(self.name, self.bins(1.0)).scaled(factor)


def coarse(trace: Trace) -> Bins:
    """Give the trace's own bins, or minutes: enough for how long it is and how much comes.

    Raises:
        TraceError: it cannot be read.
    """
    return trace.counts if isinstance(trace, BinnedTrace) else trace.bins(60.0)
