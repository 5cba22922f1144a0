"""The batch time on one replica, fitted to its profile. Simulator, policies and planner all use it."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autoscale.profiles import Profile, Timing

_Z99 = 2.3263478740408408  # 99th percentile of the standard normal distribution


@dataclass(frozen=True, eq=False, slots=True)
class ServiceTime:
    """The distribution of batch times.

    The mean is ``per_request_s`` for each request plus a piecewise linear function of the candidates. It applies while
    all other replicas of the unit on the node run batches, which is the case that limits a pool's rate. While no other
    replica runs a batch, the mean is lower by the share ``relief``. In between, the reduction is proportional to the
    number of these replicas that are idle.

    The time is lognormal: mean x exp(sigma z - sigma^2 / 2) for a standard normal z.

    Attributes:
        candidates: (k,) float64, the function's knots, k >= 2. They start at 0 and do not decrease.
        seconds: (k,) float64, the mean seconds at the knots. They do not decrease. Beyond the last knot the function
            continues with its last slope.
        per_request_s: additional seconds for each request.
        sigma: the standard deviation of log batch times.
        overhead_s: a request's time outside its batches.
        overhead_cpu_s: additional batch time for each request, because requests are handled on the same cores.
        relief: relative time reduction while no other replica of the unit runs a batch.
        neighbours: the smallest number of other replicas that causes the full contention.
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
        """Return the mean batch time for these numbers of requests and candidates, which are broadcast."""
        c = np.asarray(candidates, np.float64)
        slope = (self.seconds[-1] - self.seconds[-2]) / (self.candidates[-1] - self.candidates[-2])
        past = np.maximum(c - self.candidates[-1], 0.0) * slope
        by_candidates = np.interp(c, self.candidates, self.seconds) + past
        total: NDArray[np.float64] = np.asarray(requests, np.float64) * self.per_request_s + by_candidates
        return total

    def busy_s(self, requests: ArrayLike, candidates: ArrayLike) -> NDArray[np.float64]:
        """Return the time for which a replica in the service is busy with such batches. It limits the request rate."""
        return self.batch_s(requests, candidates) + np.asarray(requests, np.float64) * self.overhead_cpu_s


@functools.lru_cache(maxsize=256)
def service_time(profile: Profile) -> ServiceTime:
    """Fit a profile's timings by least squares over the relative errors. No coefficient is negative.

    The time per request is fitted only if some batches with equal candidates have different numbers of requests.
    Otherwise all time is attributed to candidates. With a single timing, fewer candidates take as long.
    """
    from scipy.optimize import nnls

    timings = sorted(profile.timings, key=lambda timing: timing.candidates)
    sizes = sorted({timing.candidates for timing in timings})
    means = np.array([timing.mean_ms / 1000 for timing in timings])
    rows = np.array([[1.0, *(float(t.candidates >= size) for size in sizes[1:])] for t in timings])
    requests = np.array([[float(timing.requests) * _are_requests_separable(timings)] for timing in timings])
    # Columns: time per request, time for the smallest batch, and the additional time for each larger size.
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
    contention_factor = profile.served_ratio * (1 + profile.contention)
    return ServiceTime(
        candidates=np.concatenate([[0.0], knots]),
        seconds=np.concatenate([[first_s], seconds]) * contention_factor,
        per_request_s=float(fit[0]) * contention_factor,
        sigma=sigma if profile.served_sigma is None else profile.served_sigma,
        overhead_s=profile.overhead_ms / 1000,
        overhead_cpu_s=profile.overhead_cpu_ms / 1000,
        relief=profile.contention / (1 + profile.contention),
        neighbours=profile.neighbours,
    )


def _are_requests_separable(timings: list[Timing]) -> bool:
    return len({timing.candidates for timing in timings}) < len(timings)
