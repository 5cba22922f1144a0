"""A queueing model for one replica: requests arrive at random (Poisson), and an idle replica serves up to a full batch.

The model is the bulk-service queue M/G/1 with 1 to b requests per batch (N. T. J. Bailey, "On queueing processes with
bulk service", JRSS B 16, 1954; M. F. Neuts, "A general class of bulk queues with Poisson input", Annals of Mathematical
Statistics 38, 1967). The service time grows with the batch. For inference servers see Y. Inoue, "Queueing analysis of
GPU-based inference servers with dynamic batching", Performance Evaluation 147, 2021.

The number of requests that wait when a service ends is a Markov chain. Its stationary distribution gives the latency
for a random arrival time. All requests have the same size, and each replica has its own queue. If requests choose the
shorter of two queues, they wait less than the model says.

For example, a replica takes 2 ms + 0.02 ms for each candidate, and a batch has at most 800 candidates. Then it serves
at most 4 requests with 200 candidates each in 18 ms, which is 222 requests/s.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoscale.capacity.markov_chain import fewer_states, left_at_ends, normal
from autoscale.capacity.service_time import ServiceTime

_FULLEST = 0.98
"""The highest modelled load, as a share of saturation. Above it, the queue depends on how long the load lasts."""
_MAX_BATCH = 128
_Z99 = 2.3263478740408408  # 99th percentile of the standard normal distribution
_PRECISION = 1e-8
_ELAPSED = (np.arange(6) + 0.5) / 6


@dataclass(frozen=True, slots=True)
class BatchQueue:
    """One replica's queue. Requests have ``candidates_per_request``, and batches at most ``max_candidates``."""

    service: ServiceTime
    candidates_per_request: float
    max_candidates: int

    @property
    def max_requests(self) -> int:
        """The number of requests in a full batch. A request that is larger than a batch is served alone."""
        return min(_MAX_BATCH, max(1, int(self.max_candidates / self.candidates_per_request)))

    def busy_s(self) -> NDArray[np.float64]:
        """Return (max_requests,) the mean batch times for 1 to ``max_requests`` requests."""
        requests = np.arange(1, self.max_requests + 1)
        return np.maximum(self.service.busy_s(requests, requests * self.candidates_per_request), 1e-6)

    @property
    def saturation_per_s(self) -> float:
        """Requests per second if the replica is never idle and serves only full batches."""
        return self.max_requests / float(self.busy_s()[-1])

    @property
    def alone_p99_s(self) -> float:
        """The p99 latency if the replica is idle at the arrival."""
        sigma = self.service.sigma
        return float(self.busy_s()[0]) * math.exp(_Z99 * sigma - sigma**2 / 2)

    def p99_s(self, requests_per_s: float) -> float:
        """Return the p99 of waiting plus service time at a load, or infinity above the highest modelled load."""
        return _p99_s(self, requests_per_s)

    def quantile_s(self, requests_per_s: float, quantile: float) -> float:
        """Return a quantile of waiting plus service time, without the overhead outside batches."""
        if requests_per_s > _FULLEST * self.saturation_per_s:
            return math.inf
        return _quantile_s(*self._latencies(requests_per_s), quantile)

    def mean_s(self, requests_per_s: float) -> float:
        """Return the mean waiting plus service time, without the overhead outside batches."""
        waits, means, _, weights = self._latencies(requests_per_s)
        return float((weights * (waits + means)).sum())

    def load_per_s(self, p99_s: float) -> float:
        """Return the highest load in requests/s at which p99 is within ``p99_s``, or 0 if there is none."""
        low, high = 0.0, _FULLEST * self.saturation_per_s
        if self.p99_s(high) <= p99_s:
            return high
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self.p99_s(middle) <= p99_s else (low, middle)
        return low

    def _latencies(
        self, rate: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return a weighted sample of latencies at random arrival times, as four arrays (n,).

        A latency is a wait plus a lognormal time. The wait is the present batch's remaining time. The lognormal time
        consists of the full batches ahead and the arrival's own batch.

        Returns:
            Waits, mean lognormal times, standard deviations of their logarithms, and weights.
        """
        busy_s, sigma, full = self.busy_s(), max(self.service.sigma, 0.01), self.max_requests
        probabilities = left_at_ends(rate, busy_s, sigma)
        idle = probabilities[0] / max(rate, 1e-12)
        left, time_s = fewer_states(
            probabilities * busy_s[np.clip(np.arange(probabilities.size), 1, full) - 1]
        )
        # Axes, in this order:
        # - requests that waited at the last end of a service
        # - time of the present batch (an arrival meets long batches more often)
        # - elapsed share of the present batch
        # - arrivals since its start
        # - further arrivals until its end
        nodes, node_weights = normal(7)
        came_nodes, came_weights = normal(5)
        behind_nodes, behind_weights = normal(3)
        present_s = busy_s[np.clip(left, 1, full) - 1][:, None, None] * np.exp(
            sigma * nodes[:, None] + sigma**2 / 2
        )
        over_s = (present_s * _ELAPSED)[..., None, None]
        rest_s = (present_s * (1 - _ELAPSED))[..., None, None]
        ahead = (left - full).clip(0)[:, None, None, None, None] + _poisson(
            rate * over_s, came_nodes[:, None]
        )
        batches = np.floor(ahead / full)
        own = ahead - batches * full + 1 + _poisson(rate * rest_s, behind_nodes)
        own_s = busy_s[np.minimum(own, full).astype(np.int64) - 1]
        weights = (
            time_s[:, None, None, None, None]
            * node_weights[:, None, None, None]
            * np.full((_ELAPSED.size, 1, 1), 1 / _ELAPSED.size)
            * came_weights[:, None]
            * behind_weights
        )
        means = batches * busy_s[-1] + own_s
        variances = math.expm1(sigma**2) * (batches * busy_s[-1] ** 2 + own_s**2)
        deviations = np.sqrt(np.log1p(variances / means**2))
        seen = weights > 1e-8 * weights.sum()
        rest_s = np.broadcast_to(rest_s, seen.shape)
        alone = (0.0, busy_s[0], sigma, idle)  # an arrival at an idle replica
        waits, means, deviations, weights = (
            np.append(part[seen], idle_value)
            for part, idle_value in zip((rest_s, means, deviations, weights), alone, strict=True)
        )
        return waits, means, deviations, weights / weights.sum()


def _quantile_s(
    waits: NDArray[np.float64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
    weights: NDArray[np.float64],
    quantile: float,
) -> float:
    """Return a quantile over a weighted sample, whose elements are a fixed wait plus a lognormal time."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    logs = np.log(means) - deviations**2 / 2

    def log_error(time_s: float) -> float:
        """Return the log of the wanted share of requests above ``time_s``, minus the log of their share in the sample.

        The result is nearly linear in ``time_s``, so root finding is fast.
        """
        below = ndtr((np.log(np.maximum(time_s - waits, 1e-12)) - logs) / deviations)
        return math.log1p(-quantile) - math.log(max(1 - float((weights * below).sum()), 1e-15))

    longest_s = float((waits + means * np.exp(5 * deviations)).max())
    return float(brentq(log_error, 0.0, longest_s, xtol=_PRECISION * longest_s))


def _poisson(means: NDArray[np.float64], deviates: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(np.rint(means + np.sqrt(means) * deviates), 0.0)


@functools.lru_cache(maxsize=1 << 16)
def _p99_s(queue: BatchQueue, requests_per_s: float) -> float:
    """Return the 99th percentile, from the cache if possible. ``load_per_s`` asks for the same loads repeatedly."""
    return queue.quantile_s(requests_per_s, 0.99)


@functools.lru_cache(maxsize=4096)
def candidates_per_s_within(
    service: ServiceTime, candidates_per_request: float, max_candidates: int, p99_s: float
) -> float:
    """Return the candidates/s that a replica serves with a p99 (waiting plus service time) within ``p99_s``.

    The cache compares ``service`` by identity. ``service_time`` returns the same object for equal profiles.
    """
    queue = BatchQueue(service, candidates_per_request, max_candidates)
    return queue.load_per_s(p99_s) * candidates_per_request
