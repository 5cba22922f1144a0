"""What a replica may take so that its unit keeps its share of the objective: what policies and planner size by."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from autoscale.capacity.batch_queue import BatchQueue, candidates_per_s_within
from autoscale.capacity.calls import CallLimit, call_limit, mixed, next_unit
from autoscale.capacity.service_time import service_time
from autoscale.spec import Key, PipelineSpec

_LEAST_SHARE = 0.05
"""Of the objective, every unit is given this at least, whatever the profiles say."""
_STRETCH = 1.5
"""Where a share cannot be kept at any load, a replica is given what its p99 alone allows to grow by so much."""
_STEPS_PER_OCTAVE = 4


@dataclass(frozen=True, slots=True)
class CandidateCapacity:
    """Capacity of one replica, in candidates/s.

    per_s: within the share. saturation_per_s: when never idle. feasible: the share can be kept.

    calls: the limit that its calls to the next unit set, where that is below what it can do itself; ``per_s`` and
    ``saturation_per_s`` are within it. own_per_s: ``per_s`` without that limit.
    """

    per_s: float
    saturation_per_s: float
    feasible: bool
    own_per_s: float = math.inf
    calls: CallLimit | None = None


class Sizing:
    """Capacities of a pipeline's replicas.

    aim: share of the objective that predictions are to stay within. max_load: of its saturation a replica is given
    so much at most, where the objective allows more.
    """

    def __init__(self, spec: PipelineSpec, *, aim: float = 1.0, max_load: float = 0.98) -> None:
        """Size for ``spec``."""
        self._spec, self._aim, self.max_load = spec, aim, max_load
        self._known: dict[tuple[Key, int], CandidateCapacity] = {}
        self._calls: dict[tuple[Key, Key, int], CallLimit] = {}

    @cached_property
    def shares_s(self) -> dict[str, float]:
        """Of the objective, by unit: for waiting and service, without what requests take outside batches.

        What ``spec.shares`` leaves is shared out by what a lone request takes in each unit's fastest pool.
        """
        objective_s, shares = self._spec.p99_ms / 1000, self._spec.shares
        alone_s = {
            unit.name: min(self._alone_s(Key(unit.name, p.pool)) for p in unit.placed)
            for unit in self._spec.units
        }
        overhead_s = {
            unit.name: min(p.profile.overhead_ms for p in unit.placed) / 1000 for unit in self._spec.units
        }
        others = [name for name in alone_s if name not in shares]
        rest_s = (1 - sum(shares.values())) * objective_s - sum(overhead_s[name] for name in others)
        taken_s = sum(alone_s[name] for name in others)
        return {
            name: max(
                shares[name] * objective_s - overhead_s[name]
                if name in shares
                else rest_s * lone_s / taken_s,
                _LEAST_SHARE * objective_s,
            )
            for name, lone_s in alone_s.items()
        }

    def capacity(
        self, key: Key, candidates_per_request: float, shares: Mapping[str, float] | None = None
    ) -> CandidateCapacity:
        """Return what a replica takes of requests of about that size; sizes are told apart to a quarter of an octave.

        shares: of the calls to the next unit, by its pool. Without any, all calls go to its slowest pool that keeps
        the unit's share of the objective.
        """
        octave = round(_STEPS_PER_OCTAVE * math.log2(max(1.0, candidates_per_request)))
        own = self._own(key, octave)
        limit = self._call_limit(key, octave, shares or {})
        if limit is None or self.max_load * limit.per_s >= own.per_s:
            return own
        saturation = min(own.saturation_per_s, limit.per_s)
        return CandidateCapacity(self.max_load * limit.per_s, saturation, own.feasible, own.per_s, limit)

    def _own(self, key: Key, octave: int) -> CandidateCapacity:
        known = self._known.get((key, octave))
        if known is None:
            known = self._known[key, octave] = self._capacity(key, _size(octave))
        return known

    def _call_limit(self, key: Key, octave: int, shares: Mapping[str, float]) -> CallLimit | None:
        behind = next_unit(self._spec, key.unit)
        if behind is None:
            return None
        limits = {p.pool: self._calls_to(key, Key(behind.name, p.pool), octave) for p in behind.placed}
        weights = {pool: share for pool, share in shares.items() if share > 0 and pool in limits}
        if weights:
            return mixed(limits, weights)
        kept = [pool for pool in limits if self._own(Key(behind.name, pool), octave).feasible]
        return min((limits[pool] for pool in kept or limits), key=lambda limit: limit.per_s)

    def _calls_to(self, key: Key, to: Key, octave: int) -> CallLimit:
        known = self._calls.get((key, to, octave))
        if known is None:
            size = _size(octave)
            known = call_limit(self._spec, key, to, size, self.capacity(to, size).per_s)
            self._calls[key, to, octave] = known
        return known

    def queue(self, key: Key, candidates_per_request: float) -> BatchQueue:
        """Give one replica as a queue."""
        service = service_time(self._spec.placed(key).profile)
        return BatchQueue(service, candidates_per_request, self._spec.unit(key.unit).max_candidates)

    def _capacity(self, key: Key, candidates_per_request: float) -> CandidateCapacity:
        queue = self.queue(key, candidates_per_request)
        saturation = queue.saturation_per_s * candidates_per_request
        least_s, share_s = queue.alone_p99_s, self.shares_s[key.unit] * self._aim
        per_s = candidates_per_s_within(
            queue.service, candidates_per_request, queue.max_candidates, max(share_s, _STRETCH * least_s)
        )
        return CandidateCapacity(min(per_s, self.max_load * saturation), saturation, share_s >= least_s)

    def _alone_s(self, key: Key) -> float:
        return self.queue(key, max(1.0, float(self._spec.candidates_per_request))).alone_p99_s


def _size(octave: int) -> float:
    """Return the candidates of a request that stand for a quarter of an octave."""
    return float(2 ** (octave / _STEPS_PER_OCTAVE))
