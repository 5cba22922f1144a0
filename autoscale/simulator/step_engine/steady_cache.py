"""A cache of steady states for several simulations. Steady states do not depend on policies or bounds."""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from autoscale.simulator.step_engine.steady_states import SteadyStates
from autoscale.spec import PipelineSpec


class SteadyCache:
    """The steady states of all pipelines that were simulated with this cache. The cache does not change results.

    A tuner's trials differ only in their policy, so later trials find most of their states in the cache.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._by_queues: dict[Hashable, SteadyStates] = {}

    def get(self, spec: PipelineSpec, sample: NDArray[np.int32], seed: int) -> SteadyStates:
        """Return a pipeline's steady states, with request sizes drawn from ``sample``."""
        queues = (_queues_of(spec), sample.tobytes(), seed)
        if queues not in self._by_queues:
            self._by_queues[queues] = SteadyStates(spec, sample, seed)
        return self._by_queues[queues]


def _queues_of(spec: PipelineSpec) -> Hashable:
    """Return the parts of a pipeline on which its steady states depend. Bounds, prices and intervals are left out."""
    units = tuple(
        (
            unit.name,
            unit.max_candidates,
            unit.max_waiting_candidates,
            unit.max_calls_in_flight,
            tuple((placed.pool, placed.profile) for placed in unit.placed),
        )
        for unit in spec.units
    )
    return units, spec.p99_ms, spec.deadline_ms, spec.fallback
