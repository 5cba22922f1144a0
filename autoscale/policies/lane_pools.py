"""A lane's pools at one decision, and the mix of replicas over them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from autoscale.capacity.sizing import CandidateCapacity
from autoscale.policies.base import UnitObservation
from autoscale.policies.lanes import Lane
from autoscale.policies.mix import Mix, PoolOption, changed, handed_over
from autoscale.spec import Key


@dataclass(frozen=True, slots=True)
class LanePools:
    """A lane's pools now: for each, the observation and a replica's capacity.

    Attributes:
        overdue: the pools with overdue replicas (``signals/overdue.py``).
    """

    lane: Lane
    observed: Sequence[UnitObservation]
    capacities: Sequence[CandidateCapacity]
    overdue: Collection[Key] = ()

    @property
    def arriving_per_s(self) -> float:
        """The candidates/s that arrive."""
        return sum(unit.arriving_candidates_per_s for unit in self.observed)

    @property
    def ready_per_s(self) -> float:
        """The ready replicas' capacity, in candidates/s."""
        pairs = zip(self.observed, self.capacities, strict=True)
        return sum(unit.ready * capacity.per_s for unit, capacity in pairs)

    @property
    def target_per_s(self) -> float:
        """The capacity, in candidates/s, of all requested replicas, including those that are starting."""
        pairs = zip(self.observed, self.capacities, strict=True)
        return sum(unit.target * capacity.per_s for unit, capacity in pairs)

    def without(self, overdue: Collection[Key]) -> "LanePools":
        """Return the pools as if the overdue replicas had not been requested."""
        pairs = zip(self.lane.keys, self.observed, strict=True)
        observed = [
            replace(unit, target=min(unit.ready, unit.target)) if key in overdue else unit
            for key, unit in pairs
        ]
        return LanePools(self.lane, observed, self.capacities, overdue)

    def mix(self, options: Sequence[PoolOption], up: float, down: float, saving: float) -> Mix:
        """Return the replicas for a load.

        Overdue replicas are not counted on. One of them stays requested if it would be wanted, so that the pool is used
        again once it has nodes.

        Args:
            options: the pools' options.
            up: the load that needs capacity now.
            down: the load that limits steps down.
            saving: the share of the price that a move to other pools must save.
        """
        target = tuple(unit.target for unit in self.observed)
        ready = tuple(unit.ready for unit in self.observed)
        wanted = changed(target, up, max(up, down), options, saving)
        if len(options) == 1:
            return wanted
        if not self.overdue:
            return handed_over(wanted, target, ready, up, options)
        possible = [
            _at_most(option, count) if key in self.overdue else option
            for key, option, count in zip(self.lane.keys, options, ready, strict=True)
        ]
        mix = handed_over(changed(target, up, max(up, down), possible, saving), target, ready, up, possible)
        columns = zip(self.lane.keys, mix, wanted, ready, options, strict=True)
        return tuple(
            max(number, min(free, has + 1), option.min_replicas) if key in self.overdue else number
            for key, number, free, has, option in columns
        )


def _at_most(option: PoolOption, count: int) -> PoolOption:
    return replace(
        option, min_replicas=min(option.min_replicas, count), max_replicas=min(option.max_replicas, count)
    )
