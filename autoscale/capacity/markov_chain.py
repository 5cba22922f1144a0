"""The Markov chain of a replica's queue: the number of requests that wait when a batch ends."""

import functools

import numpy as np
from numpy.typing import NDArray

_MOST_STATES = 48


@functools.cache
def normal(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points and weights for Gauss-Hermite quadrature over the standard normal distribution."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return points, weights / weights.sum()


def fewer_states(weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the states with a significant weight, and their weights. If there are many, adjacent ones are merged."""
    states = np.flatnonzero(weights > 1e-7 * weights.sum())
    starts = np.unique(np.linspace(0, states.size, _MOST_STATES, endpoint=False).astype(np.int64))
    sums = np.add.reduceat(weights[states], starts)
    centres = np.add.reduceat(weights[states] * states, starts) / sums
    return np.rint(centres).astype(np.int64), sums


def left_at_ends(rate: float, busy_s: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return (n,) the probability that 0, 1, 2, ... requests wait when a service ends.

    Args:
        rate: arrivals per second.
        busy_s: (b,) the mean batch times for 1 to b requests.
        sigma: the standard deviation of log batch times.
    """
    full = busy_s.size
    size = 3 * full + 96
    nodes, weights = normal(7)
    spread = np.exp(sigma * nodes - sigma**2 / 2)
    counts = np.arange(size)
    log_factorials = np.cumsum(np.log(np.maximum(counts, 1)))
    expected = rate * busy_s[:, None, None] * spread[None, :, None]
    logs = counts * np.log(np.maximum(expected, 1e-300)) - expected - log_factorials
    arrivals = (weights[:, None] * np.exp(logs)).sum(axis=1)
    left = counts[:, None]
    more = counts - np.maximum(left - full, 0)
    begun = np.clip(left, 1, full) - 1
    chain = np.where(more >= 0, arrivals[begun, more], 0.0)
    chain[:, -1] += 1 - chain.sum(axis=1)  # the last state stands for all longer queues
    return _stationary(chain, full)


def _stationary(chain: NDArray[np.float64], down: int) -> NDArray[np.float64]:
    """Return (n,) the stationary distribution. The matrix ``chain`` (n, n) is overwritten.

    The method is elimination without subtraction (W. K. Grassmann, M. I. Taksar and D. P. Heyman, Operations Research
    33, 1985). It uses only numpy's elementwise arithmetic, because a linear algebra library would start all its threads
    for this small problem.

    Args:
        chain: transition probabilities.
        down: the largest number of states that the chain can fall in one step.
    """
    size = len(chain)
    for state in range(size - 1, 0, -1):
        first = max(0, state - down)
        below = chain[state, first:state]
        chain[:state, state] /= max(float(below.sum()), 1e-300)
        chain[:state, first:state] += chain[:state, state, None] * below
    probabilities = np.zeros(size)
    probabilities[0] = 1.0
    for state in range(1, size):
        probabilities[state] = (probabilities[:state] * chain[:state, state]).sum()
    scaled: NDArray[np.float64] = probabilities / probabilities.sum()
    return scaled
