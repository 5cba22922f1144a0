"""Arrivals: the simulator's input, as chunks of requests or as rates. Both are validated."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError

Chunk: TypeAlias = tuple[NDArray[np.float64], NDArray[np.int32]]
"""times_s (n,), sorted, and candidates (n,), at least 1 each. A chunk starts no earlier than the previous one ended."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Arrivals as rates, for whole days. Step i is [start_s + i * step_s, start_s + (i + 1) * step_s).

    Attributes:
        start_s: start of the first step.
        step_s: step width.
        requests_per_s: (n,) the rate in each step.
        candidates: mean candidates per request, as an array (n,) or as one number for all steps.
    """

    start_s: float
    step_s: float
    requests_per_s: NDArray[np.float64]
    candidates: NDArray[np.float64] | float

    def __post_init__(self) -> None:
        """Validate the series.

        Raises:
            TraceError: the series is empty, its arrays differ in length, or a value is negative or infinite.
        """
        rates, candidates = np.asarray(self.requests_per_s), np.asarray(self.candidates)
        if rates.ndim != 1 or not rates.size:
            raise TraceError(
                f"requests_per_s: expected shape (steps,) with at least one step, got shape {rates.shape}"
            )
        if not (np.isfinite(self.start_s) and np.isfinite(self.step_s) and self.step_s > 0):
            raise TraceError(
                f"start_s, step_s: must be finite, and step_s above 0, got {self.start_s} and {self.step_s}"
            )
        if candidates.ndim and candidates.shape != rates.shape:
            raise TraceError(
                f"candidates: expected one number or the shape {rates.shape} of requests_per_s, "
                f"got shape {candidates.shape}"
            )
        for name, values, least in (("requests_per_s", rates, 0.0), ("candidates", candidates, 1.0)):
            bad = np.flatnonzero(~(np.isfinite(values) & (values >= least)))
            if bad.size:
                raise TraceError(
                    f"{name}[{bad[0]}]: must be finite and at least {least:g}, got {values.flat[bad[0]]}"
                )

    @property
    def end_s(self) -> float:
        """End of the last step."""
        return self.start_s + self.step_s * len(self.requests_per_s)


Arrivals: TypeAlias = Iterable[Chunk] | Rates


def checked(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks that are not empty, in the types that the engines need.

    Raises:
        TraceError: times are unsorted, negative or not finite, a request has no candidates, or there are no requests.
    """
    last_s, total = -np.inf, 0
    for raw_times_s, candidates in chunks:
        times_s = np.ascontiguousarray(raw_times_s, np.float64)
        counts = np.asarray(candidates)
        if times_s.ndim != 1 or times_s.shape != counts.shape:
            raise TraceError(
                f"candidates: expected the shape {times_s.shape} of the times, got shape {counts.shape}"
            )
        if not times_s.size:
            continue
        bad = np.flatnonzero(~(np.isfinite(times_s) & (times_s >= 0)))
        if bad.size:
            raise TraceError(
                f"times_s[{total + bad[0]}]: must be finite and at least 0, got {times_s[bad[0]]}"
            )
        unordered = np.flatnonzero(np.diff(times_s, prepend=last_s) < 0)
        if unordered.size:
            before = times_s[unordered[0] - 1] if unordered[0] else last_s
            raise TraceError(
                f"times_s[{total + unordered[0]}]: must be at least the time before it, {before}, "
                f"got {times_s[unordered[0]]}; sort the trace by time"
            )
        invalid = np.flatnonzero(~((counts >= 1) & (counts <= np.iinfo(np.int32).max)))
        if invalid.size:
            raise TraceError(
                f"candidates[{total + invalid[0]}]: must be from 1 to 2^31 - 1, got {counts[invalid[0]]}"
            )
        last_s, total = float(times_s[-1]), total + times_s.size
        yield times_s, np.ascontiguousarray(counts, np.int32)
    if not total:
        raise TraceError("the trace has no requests; there is nothing to simulate")


def drawn(rates: Rates, seed: int, at_most: int = 1 << 20) -> Iterator[Chunk]:
    """Draw requests from a series of rates, in chunks.

    Arrivals are Poisson in each step, and each request has the step's mean candidates.

    Args:
        rates: the series.
        seed: the random seed.
        at_most: expected number of requests in a chunk. A single step may have more.
    """
    random = np.random.default_rng((seed, 1))
    counts = np.broadcast_to(np.rint(rates.candidates).astype(np.int32), rates.requests_per_s.shape)
    expected = rates.requests_per_s * rates.step_s
    first = 0
    while first < len(expected):
        # The steps of one chunk, at least one.
        last = first + max(1, int(np.searchsorted(np.cumsum(expected[first:]), at_most)))
        drawn_counts = random.poisson(expected[first:last])
        steps = np.repeat(np.arange(first, min(last, len(expected))), drawn_counts)
        times_s = np.sort(rates.start_s + (steps + random.random(len(steps))) * rates.step_s)
        yield times_s, counts[steps]
        first = last
