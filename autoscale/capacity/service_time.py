"""What a batch takes on one replica, fitted to its profile: what simulator, policies and planner reckon with."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autoscale.profiles import Profile, Timing

_Z99 = 2.3263478740408408  # the standard normal's 99th percentile


@dataclass(frozen=True, eq=False, slots=True)
class ServiceTime:
    """The mean time of a batch is ``per_request_s`` for each request and a piecewise linear function of its candidates.

    That is while all of its like run beside it, of which there are ``neighbours`` or more: what bounds a pool's rate.
    While none does it is shorter by ``relief``, a share of it, and in between in proportion.
    candidates, seconds: (k,) float64 knots of that function, k >= 2, the first at 0 candidates, neither falling;
    past the last it goes on as its last piece. A batch's time is lognormal about its mean with ``sigma`` of its
    logarithm: mean x exp(sigma z - sigma^2 / 2) for a standard normal z.
    overhead_s: of a request outside its batches. overhead_cpu_s: by how much longer its batch takes for what it takes
    there of the same cores.
    """

    candidates: NDArray[np.float64]
    seconds: NDArray[np.float64]
    per_request_s: float
    sigma: float
    overhead_s: float = 0.0
    overhead_cpu_s: float = 0.0
    relief: float = 0.0
    neighbours: int = 0

    def batch_s(self, requests: ArrayLike, candidates: ArrayLike) -> NDArray[np.float64]:
        """Give the mean time of batches of so many requests and candidates, broadcast against each other."""
        c = np.asarray(candidates, np.float64)
        slope = (self.seconds[-1] - self.seconds[-2]) / (self.candidates[-1] - self.candidates[-2])
        past = np.maximum(c - self.candidates[-1], 0.0) * slope
        by_candidates = np.interp(c, self.candidates, self.seconds) + past
        total: NDArray[np.float64] = np.asarray(requests, np.float64) * self.per_request_s + by_candidates
        return total

    def busy_s(self, requests: ArrayLike, candidates: ArrayLike) -> NDArray[np.float64]:
        """Give how long a replica is busy with such a batch in the service: what bounds its rate."""
        return self.batch_s(requests, candidates) + np.asarray(requests, np.float64) * self.overhead_cpu_s


@functools.lru_cache(maxsize=256)
def service_time(profile: Profile) -> ServiceTime:
    """Fit a profile's timings: least squares of relative errors, no part of it negative or falling.

    Requests are told from candidates only where batches of as many candidates were measured with different numbers
    of requests; else all is put down to candidates. One timing alone is a floor: fewer candidates take as long.
    """
    from scipy.optimize import nnls

    timings = sorted(profile.timings, key=lambda timing: timing.candidates)
    sizes = sorted({timing.candidates for timing in timings})
    means = np.array([timing.mean_ms / 1000 for timing in timings])
    rows = np.array([[1.0, *(float(t.candidates >= size) for size in sizes[1:])] for t in timings])
    requests = np.array([[float(timing.requests) * _told_apart(timings)] for timing in timings])
    # Columns: a request, the smallest batch, and what each next size adds.
    fit, _ = nnls(np.hstack([requests, rows]) / means[:, None], np.ones(len(timings)))
    knots, seconds = np.array(sizes, np.float64), np.cumsum(fit[1:])
    if len(sizes) == 1:
        knots, seconds = np.array([knots[0], 2 * knots[0]]), np.array([seconds[0], 2 * seconds[0]])
        first_s = seconds[0]
    else:
        slope = (seconds[1] - seconds[0]) / (knots[1] - knots[0])
        first_s = min(max(seconds[0] - slope * knots[0], 0.0), seconds[0])
    weights = np.array([timing.runs for timing in timings], np.float64)
    spreads = np.array([max(0.0, math.log(timing.p99_ms / timing.p50_ms)) for timing in timings])
    sigma = float(np.average(spreads, weights=weights)) / _Z99
    among_its_like = profile.served_ratio * (1 + profile.contention)
    return ServiceTime(
        candidates=np.concatenate([[0.0], knots]),
        seconds=np.concatenate([[first_s], seconds]) * among_its_like,
        per_request_s=float(fit[0]) * among_its_like,
        sigma=sigma if profile.served_sigma is None else profile.served_sigma,
        overhead_s=profile.overhead_ms / 1000,
        overhead_cpu_s=profile.overhead_cpu_ms / 1000,
        relief=profile.contention / (1 + profile.contention),
        neighbours=profile.neighbours,
    )


def _told_apart(timings: list[Timing]) -> bool:
    return len({timing.candidates for timing in timings}) < len(timings)
