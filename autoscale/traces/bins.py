"""Requests one by one, and counted in bins of time that can be made wider and narrower."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError


@dataclass(frozen=True, slots=True)
class Arrivals:
    """n requests in order: times_s float64, candidates int32, priorities int32 and deadlines_ms float64, each (n,).

    A deadline of NaN, as one of a trace without them, is the pipeline's own.
    """

    times_s: NDArray[np.float64]
    candidates: NDArray[np.int32]
    priorities: NDArray[np.int32] | None = None
    deadlines_ms: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True, slots=True)
class Bins:
    """n bins of ``step_s`` from ``start_s`` on, each column float64 (n,).

    requests: how many come in each. candidates: of a request, on average. candidates_cv: their coefficient of
    variation (a gamma's). dispersion: squared coefficient of variation of the rate from second to second inside a
    bin; 0 is Poisson's.
    """

    start_s: float
    step_s: float
    requests: NDArray[np.float64]
    candidates: NDArray[np.float64]
    candidates_cv: NDArray[np.float64]
    dispersion: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def end_s(self) -> float:
        """When the last bin ends."""
        return self.start_s + len(self) * self.step_s

    @classmethod
    def from_counts(
        cls, start_s: float, step_s: float, requests: Iterable[float], candidates: Iterable[float] | float
    ) -> "Bins":
        """Give bins of Poisson arrivals whose requests have the same number of candidates in each."""
        counts = np.asarray(list(requests), dtype=np.float64)
        means = np.broadcast_to(np.asarray(candidates, dtype=np.float64), counts.shape).copy()
        return cls(start_s, step_s, counts, means, np.zeros_like(counts), np.zeros_like(counts))


def bins_from_sums(
    start_s: float,
    step_s: float,
    requests: NDArray[np.float64],
    candidates: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> Bins:
    """Give bins of how many requests came in each, of the sum of their candidates, and of the sum of its squares."""
    some = np.maximum(requests, 1e-12)
    mean = np.where(requests > 0, candidates / some, 1.0)
    variance = np.where(requests > 0, squares / some - mean**2, 0.0)
    # Exact integers cancel to what rounding leaves; a variance that small is none.
    cv = np.sqrt(np.where(variance > 1e-9 * mean**2, variance, 0.0)) / mean
    return Bins(start_s, step_s, requests.copy(), mean, cv, np.zeros_like(requests))


def _ratio(long_s: float, short_s: float) -> int:
    ratio = round(long_s / short_s)
    if ratio < 1 or not np.isclose(ratio * short_s, long_s):
        raise TraceError(
            f"step_s: bins of {long_s:g} s cannot be divided into bins of {short_s:g} s; use a step that divides"
        )
    return ratio


def merged(counts: Bins, step_s: float) -> Bins:
    """Give wider bins; the first begins at a multiple of ``step_s``.

    Raises:
        TraceError: ``step_s`` is no multiple of the bins' own.
    """
    ratio = _ratio(step_s, counts.step_s)
    ahead = round((counts.start_s % step_s) / counts.step_s)
    size = -(-(ahead + len(counts)) // ratio) * ratio

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        padded = np.zeros(size)
        padded[ahead : ahead + len(values)] = values
        result: NDArray[np.float64] = padded.reshape(-1, ratio).sum(axis=1)
        return result

    requests, means = counts.requests, counts.candidates
    squares = requests * means**2 * (1 + counts.candidates_cv**2)
    start_s = counts.start_s - ahead * counts.step_s
    sums = bins_from_sums(start_s, step_s, summed(requests), summed(requests * means), summed(squares))
    dispersion = summed(requests * counts.dispersion) / np.maximum(sums.requests, 1e-12)
    return replace(sums, dispersion=dispersion)


def split(counts: Bins, step_s: float) -> Bins:
    """Give narrower bins, which share each count evenly.

    Raises:
        TraceError: ``step_s`` does not divide the bins' own.
    """
    ratio = _ratio(counts.step_s, step_s)
    columns = (counts.candidates, counts.candidates_cv, counts.dispersion)
    repeated = (np.repeat(column, ratio) for column in columns)
    return Bins(counts.start_s, step_s, np.repeat(counts.requests / ratio, ratio), *repeated)
