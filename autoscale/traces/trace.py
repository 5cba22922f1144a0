"""Traces: request times and sizes, one by one or as counts in time bins.

Times are seconds on the trace's own clock. If the trace follows a week, 0 is Monday midnight. Single requests are
streamed, so a trace may be larger than memory.

A bin's requests arrive at random times: uniformly (Poisson, given the count), or in bursts if ``dispersion`` is above
0. Therefore a trace is not smoother than its bins say.
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
    """The interface that all traces have."""

    @property
    def name(self) -> str:
        """The trace's name in reports."""
        ...

    def arrivals(self, seed: int) -> Iterator[Arrivals]:
        """Yield all requests in order, in chunks. ``seed`` determines random choices.

        Raises:
            TraceError: the trace is invalid.
        """
        ...

    def bins(self, step_s: float) -> Bins:
        """Return the counts of requests in bins of ``step_s``.

        Raises:
            TraceError: the trace is invalid, or cannot be counted in bins of this width.
        """
        ...

    def scaled(self, factor: float) -> "Trace":
        """Return the same trace with ``factor`` times its requests."""
        ...


@dataclass(frozen=True, slots=True)
class BinnedTrace:
    """A trace that counts requests in bins. Single requests are drawn from the counts."""

    name: str
    counts: Bins

    def __post_init__(self) -> None:
        check_bins(self.counts, self.name)

    def arrivals(self, seed: int) -> Iterator[Arrivals]:
        """Draw all requests, with the distributions that ``Bins`` describes."""
        rng = np.random.default_rng(seed)
        for index in range(len(self.counts)):
            yield from drawn(self.counts, index, rng)

    def bins(self, step_s: float) -> Bins:
        """Return the counts in bins of ``step_s``, which must divide the trace's own step or be a multiple of it.

        Narrower bins divide a count evenly. Only ``arrivals`` has the bursts inside a bin.
        """
        counts = self.counts
        if np.isclose(step_s, counts.step_s):
            return counts
        return merged(counts, step_s) if step_s > counts.step_s else split(counts, step_s)

    def scaled(self, factor: float) -> "BinnedTrace":
        """Return the trace with ``factor`` times the requests."""
        return replace(self, counts=replace(self.counts, requests=self.counts.requests * checked(factor)))


@dataclass(frozen=True, slots=True)
class ArrivalTrace:
    """A trace with single requests. Each pass over the trace reads and validates the requests again.

    Attributes:
        name: the trace's name in reports.
        read: starts a pass over the requests.
    """

    name: str
    read: Callable[[], Iterator[Arrivals]]

    @classmethod
    def from_arrays(
        cls, times_s: NDArray[np.float64], candidates: NDArray[np.int32], name: str = "arrivals"
    ) -> "ArrivalTrace":
        """Return a trace from arrays in memory.

        Raises:
            TraceError: the arrays are invalid.
        """
        arrivals = Arrivals(np.asarray(times_s, np.float64), np.asarray(candidates, np.int32))
        trace = cls(name, lambda: iter((arrivals,)))
        for _ in trace.arrivals(0):
            pass
        return trace

    def arrivals(self, seed: int = 0) -> Iterator[Arrivals]:
        """Yield all requests in order."""
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
        """Return the counts of requests in bins of ``step_s``. The first bin begins at a multiple of it."""
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
        """Return one-second bins with ``factor`` times the requests, because single requests cannot be scaled."""
        if factor == 1.0:
            return self
        return BinnedTrace(self.name, self.bins(1.0)).scaled(factor)


def coarse(trace: Trace) -> Bins:
    """Return the trace's own bins, or one-minute bins. They show the trace's length and its number of requests.

    Raises:
        TraceError: the trace cannot be read.
    """
    return trace.counts if isinstance(trace, BinnedTrace) else trace.bins(60.0)
