"""A replica as a queue: Poisson arrivals, and whenever it is idle it takes all that waits, up to a batch.

The bulk-service queue M/G/1 with batches of 1 to b (N. T. J. Bailey, "On queueing processes with bulk service", JRSS B
16, 1954; M. F. Neuts, "A general class of bulk queues with Poisson input", Annals of Mathematical Statistics 38, 1967)
with a service time that grows with the batch; for inference servers Y. Inoue, "Queueing analysis of GPU-based
inference servers with dynamic batching", Performance Evaluation 147, 2021. What is left at the ends of services is a
Markov chain; it is solved, and latencies are taken from it for an arrival at a random moment. All requests are of one
size, and replicas have queues of their own: where arrivals choose the shorter of two, less waits than is given here.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoscale.capacity.markov_chain import fewer_states, left_at_ends, normal
from autoscale.capacity.service_time import ServiceTime

_FULLEST = 0.98
"""Of what a replica can do, more is not looked at: what waits there depends on how long it lasts."""
_MAX_BATCH = 128
_Z99 = 2.3263478740408408  # the standard normal's 99th percentile
_PRECISION = 1e-8
_ELAPSED = (np.arange(6) + 0.5) / 6


@dataclass(frozen=True, slots=True)
class BatchQueue:
    """One replica whose requests have ``candidates_per_request``, with batches of up to ``max_candidates``."""

    service: ServiceTime
    candidates_per_request: float
    max_candidates: int

    @property
    def max_requests(self) -> int:
        """Give the requests of a full batch; a request that is larger than a batch goes alone."""
        return min(_MAX_BATCH, max(1, int(self.max_candidates / self.candidates_per_request)))

    def busy_s(self) -> NDArray[np.float64]:
        """Give the mean times of batches of 1 to ``max_requests`` requests."""
        requests = np.arange(1, self.max_requests + 1)
        return np.maximum(self.service.busy_s(requests, requests * self.candidates_per_request), 1e-6)

    @property
    def saturation_per_s(self) -> float:
        """Give the requests a second that it serves when it is never idle: full batches, one after another."""
        return self.max_requests / float(self.busy_s()[-1])

    @property
    def alone_p99_s(self) -> float:
        """Give the 99th percentile of a request that meets an idle replica."""
        sigma = self.service.sigma
        return float(self.busy_s()[0]) * math.exp(_Z99 * sigma - sigma**2 / 2)

    def p99_s(self, requests_per_s: float) -> float:
        """Give the 99th percentile of waiting and service at so many requests a second; inf where it cannot keep up."""
        return _p99_s(self, requests_per_s)

    def quantile_s(self, requests_per_s: float, quantile: float) -> float:
        """Give a quantile of waiting and service, without what a request takes outside batches."""
        if requests_per_s > _FULLEST * self.saturation_per_s:
            return math.inf
        return _quantile_s(*self._latencies(requests_per_s), quantile)

    def mean_s(self, requests_per_s: float) -> float:
        """Return the mean of waiting and service, without the time that a request takes outside batches."""
        waits, means, _, weights = self._latencies(requests_per_s)
        return float((weights * (waits + means)).sum())

    def load_per_s(self, p99_s: float) -> float:
        """Give the most requests a second with the 99th percentile within ``p99_s``; 0 where it never is."""
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
        """Give (n,) what goes before an arrival's own batch, and mean, log deviation and weight of what follows it."""
        busy_s, sigma, full = self.busy_s(), max(self.service.sigma, 0.01), self.max_requests
        chances = left_at_ends(rate, busy_s, sigma)
        idle = chances[0] / max(rate, 1e-12)
        left, time_s = fewer_states(chances * busy_s[np.clip(np.arange(chances.size), 1, full) - 1])
        # Axes: what was left at the last end, how long the present batch takes (an arrival meets long ones more
        # often), how much of it is over, how many came since its start, how many come after, to its end.
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
            np.append(part[seen], one)
            for part, one in zip((rest_s, means, deviations, weights), alone, strict=True)
        )
        return waits, means, deviations, weights / weights.sum()


def _quantile_s(
    waits: NDArray[np.float64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
    weights: NDArray[np.float64],
    quantile: float,
) -> float:
    """Give a quantile of waits, each with a lognormal time after it."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    logs = np.log(means) - deviations**2 / 2

    def lacks(time_s: float) -> float:
        """Of logarithms of what is later, which fall about evenly with time: a secant soon meets their root."""
        below = ndtr((np.log(np.maximum(time_s - waits, 1e-12)) - logs) / deviations)
        return math.log1p(-quantile) - math.log(max(1 - float((weights * below).sum()), 1e-15))

    longest_s = float((waits + means * np.exp(5 * deviations)).max())
    return float(brentq(lacks, 0.0, longest_s, xtol=_PRECISION * longest_s))


def _poisson(means: NDArray[np.float64], deviates: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(np.rint(means + np.sqrt(means) * deviates), 0.0)


@functools.lru_cache(maxsize=1 << 16)
def _p99_s(queue: BatchQueue, requests_per_s: float) -> float:
    """Keep what ``load_per_s`` comes upon: it halves the same range for every objective."""
    return queue.quantile_s(requests_per_s, 0.99)


@functools.lru_cache(maxsize=4096)
def candidates_per_s_within(
    service: ServiceTime, candidates_per_request: float, max_candidates: int, p99_s: float
) -> float:
    """Give the most candidates a second a replica takes with the 99th percentile of waiting and service in ``p99_s``.

    ``service`` is told apart by identity: ``service_time`` gives the same for equal profiles.
    """
    queue = BatchQueue(service, candidates_per_request, max_candidates)
    return queue.load_per_s(p99_s) * candidates_per_request
