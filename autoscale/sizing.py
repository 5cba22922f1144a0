"""What a replica may take so that its unit keeps its share of the objective: what policies and planner size by."""

import math
from dataclasses import dataclass
from functools import cached_property

from autoscale.batch_queue import BatchQueue, candidates_per_s_within
from autoscale.service_time import service_time
from autoscale.spec import Key, PipelineSpec

_LEAST_SHARE = 0.05
"""Of the objective, every unit is given this at least, whatever the profiles say."""
_STRETCH = 1.5
"""Where a share cannot be kept at any load, a replica is given what its p99 alone allows to grow by so much."""
_STEPS_PER_OCTAVE = 4


@dataclass(frozen=True, slots=True)
class Capacity:
    """A replica, in candidates/s. per_s: within the share. saturation_per_s: when never idle. feasible: share kept."""

    per_s: float
    saturation_per_s: float
    feasible: bool


class Sizing:
    """Capacities of a pipeline's replicas.

    aim: share of the objective that predictions are to stay within. max_load: of its saturation a replica is given
    so much at most, where the objective allows more.
    """

    def __init__(self, spec: PipelineSpec, *, aim: float = 1.0, max_load: float = 0.98) -> None:
        """Size for ``spec``."""
        self._spec, self._aim, self._max_load = spec, aim, max_load
        self._known: dict[tuple[Key, int], Capacity] = {}

    @cached_property
    def shares_s(self) -> dict[str, float]:
        """Of the objective, by unit: for waiting and service, without what requests take outside batches.

        What ``spec.shares`` leaves is shared out by what a lone request takes in each unit's fastest pool.
        """
        objective_s, given = self._spec.p99_ms / 1000, self._spec.shares
        alone_s = {
            unit.name: min(self._alone_s(Key(unit.name, p.pool)) for p in unit.placed)
            for unit in self._spec.units
        }
        overhead_s = {
            unit.name: min(p.profile.overhead_ms for p in unit.placed) / 1000 for unit in self._spec.units
        }
        others = [name for name in alone_s if name not in given]
        rest_s = (1 - sum(given.values())) * objective_s - sum(overhead_s[name] for name in others)
        taken_s = sum(alone_s[name] for name in others)
        return {
            name: max(
                given[name] * objective_s - overhead_s[name] if name in given else rest_s * lone_s / taken_s,
                _LEAST_SHARE * objective_s,
            )
            for name, lone_s in alone_s.items()
        }

    def capacity(self, key: Key, candidates_per_request: float) -> Capacity:
        """Give what a replica takes of requests of about that size; sizes are told apart to a quarter of an octave."""
        octave = round(_STEPS_PER_OCTAVE * math.log2(max(1.0, candidates_per_request)))
        known = self._known.get((key, octave))
        if known is None:
            known = self._known[key, octave] = self._capacity(key, 2 ** (octave / _STEPS_PER_OCTAVE))
        return known

    def queue(self, key: Key, candidates_per_request: float) -> BatchQueue:
        """Give one replica as a queue."""
        service = service_time(self._spec.placed(key).profile)
        return BatchQueue(service, candidates_per_request, self._spec.unit(key.unit).max_candidates)

    def _capacity(self, key: Key, candidates_per_request: float) -> Capacity:
        queue = self.queue(key, candidates_per_request)
        saturation = queue.saturation_per_s * candidates_per_request
        least_s, share_s = queue.alone_p99_s, self.shares_s[key.unit] * self._aim
        per_s = candidates_per_s_within(
            queue.service, candidates_per_request, queue.max_candidates, max(share_s, _STRETCH * least_s)
        )
        return Capacity(min(per_s, self._max_load * saturation), saturation, share_s >= least_s)

    def _alone_s(self, key: Key) -> float:
        return self.queue(key, max(1.0, float(self._spec.candidates_per_request))).alone_p99_s
