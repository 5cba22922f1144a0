"""The highest load at which a replica meets its unit's share of the objective. Policies and planner size by it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from autoscale.capacity.batch_queue import BatchQueue, candidates_per_s_within
from autoscale.capacity.calls import CallLimit, call_limit, mixed, next_unit
from autoscale.capacity.service_time import service_time
from autoscale.spec import Key, PipelineSpec

_LEAST_SHARE = 0.05
"""Each unit gets at least this share of the objective, whatever the profiles say."""
_STRETCH = 1.5
"""If a share cannot be met at any load, p99 is limited to this many times a single request's p99."""
_STEPS_PER_OCTAVE = 4


@dataclass(frozen=True, slots=True)
class CandidateCapacity:
    """A replica's capacity, in candidates/s.

    Attributes:
        per_s: load with p99 within the unit's share of the objective.
        saturation_per_s: load if the replica is never idle.
        feasible: whether the share can be met at all.
        own_per_s: ``per_s`` without the limit on calls. Infinity if calls do not limit the replica.
        calls: the limit from its calls to the next unit, or None if it does not apply. ``per_s`` and
            ``saturation_per_s`` respect it.
    """

    per_s: float
    saturation_per_s: float
    feasible: bool
    own_per_s: float = math.inf
    calls: CallLimit | None = None


class Sizing:
    """The capacities of a pipeline's replicas."""

    def __init__(self, spec: PipelineSpec, *, aim: float = 1.0, max_load: float = 0.98) -> None:
        """Prepare a pipeline's sizing.

        Args:
            spec: the pipeline.
            aim: the predicted p99 may use this share of the objective.
            max_load: a replica's highest load, as a share of its saturation.
        """
        self._spec, self._aim, self.max_load = spec, aim, max_load
        self._known: dict[tuple[Key, int], CandidateCapacity] = {}
        self._calls: dict[tuple[Key, Key, int], CallLimit] = {}

    @cached_property
    def shares_s(self) -> dict[str, float]:
        """Each unit's time for waiting and service, without the overhead outside batches.

        Units without an entry in ``spec.shares`` divide the rest of the objective in proportion to a single request's
        time in their fastest pool.
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
        total_alone_s = sum(alone_s[name] for name in others)
        return {
            name: max(
                shares[name] * objective_s - overhead_s[name]
                if name in shares
                else rest_s * lone_s / total_alone_s,
                _LEAST_SHARE * objective_s,
            )
            for name, lone_s in alone_s.items()
        }

    def capacity(
        self, key: Key, candidates_per_request: float, shares: Mapping[str, float] | None = None
    ) -> CandidateCapacity:
        """Return a replica's capacity for requests of about this size.

        Sizes are rounded to a quarter of an octave, which is a factor of 1.19.

        Args:
            key: the unit and pool.
            candidates_per_request: the request size.
            shares: the split of calls over the next unit's pools. By default all calls go to the slowest pool that
                meets the next unit's share of the objective, or to the slowest of all if no pool meets it.
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
        called = next_unit(self._spec, key.unit)
        if called is None:
            return None
        limits = {p.pool: self._calls_to(key, Key(called.name, p.pool), octave) for p in called.placed}
        weights = {pool: share for pool, share in shares.items() if share > 0 and pool in limits}
        if weights:
            return mixed(limits, weights)
        feasible_pools = [pool for pool in limits if self._own(Key(called.name, pool), octave).feasible]
        return min((limits[pool] for pool in feasible_pools or limits), key=lambda limit: limit.per_s)

    def _calls_to(self, key: Key, to: Key, octave: int) -> CallLimit:
        known = self._calls.get((key, to, octave))
        if known is None:
            size = _size(octave)
            known = call_limit(self._spec, key, to, size, self.capacity(to, size).per_s)
            self._calls[key, to, octave] = known
        return known

    def queue(self, key: Key, candidates_per_request: float) -> BatchQueue:
        """Return the queueing model for one replica."""
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
    """Return the request size in candidates for a number of quarter octaves."""
    return float(2 ** (octave / _STEPS_PER_OCTAVE))
