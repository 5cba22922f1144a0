"""Lanes, and the decision on a lane with its reasons.

A lane is a group of replicas that is sized together: a unit in one pool, or a unit with all its pools if the policy
splits units over pools.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoscale.capacity.sizing import CandidateCapacity
from autoscale.policies.base import UnitObservation
from autoscale.policies.mix import Mix, PoolOption
from autoscale.policies.signals.forecast import ForecastState
from autoscale.policies.signals.load import LaneLoad
from autoscale.policies.signals.misses import MissState
from autoscale.policies.signals.overdue import Awaited
from autoscale.policies.signals.windows import WindowState
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class Lane:
    """A unit's keys that share one load."""

    name: str
    keys: tuple[Key, ...]

    @property
    def unit(self) -> str:
        """The unit's name."""
        return self.keys[0].unit


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane's state before a decision.

    Attributes:
        window: the recent load. None before the first decision.
        since_up_s: by key, the time since more replicas were last requested.
        waits: by key, the wait for replicas that do not answer yet.
    """

    window: WindowState | None
    forecast: ForecastState
    since_up_s: Mapping[Key, float]
    waits: Mapping[Key, Awaited] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaneDecision:
    """The decision on one lane, and the states after it.

    Attributes:
        reasons: by key, the reason for the number of replicas.
        weights: the split of the unit's work over its pools. Empty if the lane has one pool.
        arriving_per_s: candidates per second over the panic window.
        window: the recent load.
        forecast: None if the policy makes no forecasts.
        misses: the whole pipeline's misses.
        waits: by key, the wait for replicas that do not answer yet.
    """

    replicas: Mapping[Key, int]
    reasons: Mapping[Key, str]
    weights: Mapping[str, Mapping[str, float]]
    arriving_per_s: float
    window: WindowState
    forecast: ForecastState | None
    misses: MissState
    waits: Mapping[Key, Awaited]


def lanes_of(spec: PipelineSpec, *, over_pools: bool) -> tuple[Lane, ...]:
    """Return a pipeline's lanes, the ingress first.

    Args:
        spec: the pipeline.
        over_pools: whether the policy splits units over pools. Then each unit is one lane. Otherwise each key is one
            lane.
    """
    if over_pools:
        return tuple(Lane(u.name, tuple(Key(u.name, p.pool) for p in u.placed)) for u in spec.units)
    return tuple(Lane(str(key), (key,)) for key in spec.keys())


def weights_of(
    lane: Lane, mix: Mix, observations: Sequence[UnitObservation], options: Sequence[PoolOption]
) -> dict[str, Mapping[str, float]]:
    """Return a unit's split over pools, in proportion to the ready capacity that remains after the decision.

    If no replica is ready, the split follows the requested replicas. Without any replica the result is empty.
    """
    for counts in ([min(n, unit.ready) for n, unit in zip(mix, observations, strict=True)], mix):
        capacities = [count * option.per_s for count, option in zip(counts, options, strict=True)]
        if sum(capacities) > 0:
            split = {
                key.pool: part / sum(capacities) for key, part in zip(lane.keys, capacities, strict=True)
            }
            return {lane.unit: split}
    return {}


def reason_of(
    lane: Lane,
    key: Key,
    target: int,
    number: int,
    load: LaneLoad,
    capacity: CandidateCapacity,
    per_s: float,
    share_s: float,
) -> str:
    """Return the reason for the change from ``target`` to ``number``: the load, and a replica's capacity."""
    change = f"{target} -> {number}" if number != target else f"stays at {number}"
    capacity_text = f"serves {per_s:.0f} with p99 under {share_s * 1000:.0f} ms"
    if not capacity.feasible:
        capacity_text = (
            f"is given {per_s:.0f}, although the p99 of one request alone is above {share_s * 1000:.0f} ms"
        )
    elif capacity.calls is not None:
        capacity_text = (
            f"serves {per_s:.0f}, limited by {capacity.calls.calls} calls in flight to {capacity.calls.unit}"
        )
    if len(lane.keys) > 1:
        return (
            f"{key} {change}: {load.up:.0f} candidates/s for {key.unit} {load.why}; "
            f"a replica in this pool {capacity_text}"
        )
    return (
        f"{key} {change}: {load.up / max(1, target):.0f} candidates/s per replica {load.why}; "
        f"a replica {capacity_text}"
    )
