"""Single arrivals, and request counts in time bins, which can be merged and split."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autoscale.errors import TraceError


@dataclass(frozen=True, slots=True)
class Arrivals:
    """n requests, ordered by time.

    Attributes:
        times_s: (n,) float64.
        candidates: (n,) int32.
        priorities: (n,) int32, or None.
        deadlines_ms: (n,) float64, or None. NaN, like None, stands for the pipeline's own deadline.
    """

    times_s: NDArray[np.float64]
    candidates: NDArray[np.int32]
    priorities: NDArray[np.int32] | None = None
    deadlines_ms: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True, slots=True)
class Bins:
    """n bins of width ``step_s`` from ``start_s``. Each column is float64 (n,).

    Attributes:
        start_s: start of the first bin.
        step_s: bin width.
        requests: number of requests in each bin.
        candidates: mean candidates per request.
        candidates_cv: the candidates' coefficient of variation. Candidates are gamma distributed.
        dispersion: the rate's squared coefficient of variation from second to second inside a bin. 0: arrivals are
            Poisson.
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
        """End of the last bin."""
        return self.start_s + len(self) * self.step_s

    @classmethod
    def from_counts(
        cls, start_s: float, step_s: float, requests: Iterable[float], candidates: Iterable[float] | float
    ) -> "Bins":
        """Return bins with Poisson arrivals. In each bin all requests have the same number of candidates."""
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
    """Return bins from sums over the requests in each bin.

    Args:
        start_s: start of the first bin.
        step_s: bin width.
        requests: (n,) number of requests.
        candidates: (n,) sum of their candidates.
        squares: (n,) sum of their squared candidates.
    """
    some = np.maximum(requests, 1e-12)
    mean = np.where(requests > 0, candidates / some, 1.0)
    variance = np.where(requests > 0, squares / some - mean**2, 0.0)
    # For equal integers the difference is only a rounding error. Treat such a small variance as 0.
    cv = np.sqrt(np.where(variance > 1e-9 * mean**2, variance, 0.0)) / mean
    return Bins(start_s, step_s, requests.copy(), mean, cv, np.zeros_like(requests))


def _ratio(long_s: float, short_s: float) -> int:
    ratio = round(long_s / short_s)
    if ratio < 1 or not np.isclose(ratio * short_s, long_s):
        raise TraceError(
            f"step_s: bins of {long_s:g} s cannot be divided into bins of {short_s:g} s; use a step_s that "
            f"divides {long_s:g}"
        )
    return ratio


def merged(counts: Bins, step_s: float) -> Bins:
    """Return wider bins. The first bin begins at a multiple of ``step_s``.

    Raises:
        TraceError: ``step_s`` is not a multiple of the bin width.
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
    """Return narrower bins, over which each count is spread evenly.

    Raises:
        TraceError: ``step_s`` does not divide the bin width.
    """
    ratio = _ratio(counts.step_s, step_s)
    columns = (counts.candidates, counts.candidates_cv, counts.dispersion)
    repeated = (np.repeat(column, ratio) for column in columns)
    return Bins(counts.start_s, step_s, np.repeat(counts.requests / ratio, ratio), *repeated)
