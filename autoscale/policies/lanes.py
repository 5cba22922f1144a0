"""Lanes: a unit in one pool, or with all its pools, that is sized as one; the decision on a lane, and its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscale.capacity.sizing import CandidateCapacity
from autoscale.policies.base import UnitObservation
from autoscale.policies.mix import Mix, PoolOption
from autoscale.policies.signals.forecast import ForecastState
from autoscale.policies.signals.load import LaneLoad
from autoscale.policies.signals.misses import MissState
from autoscale.policies.signals.windows import WindowState
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class Lane:
    """The keys of one unit whose load is one load."""

    name: str
    keys: tuple[Key, ...]

    @property
    def unit(self) -> str:
        """Whose pools these are."""
        return self.keys[0].unit


@dataclass(frozen=True, slots=True)
class LaneState:
    """The state of a lane before a decision. window: None before the first one.

    since_up_s: how long ago more replicas were last asked for, by key.
    """

    window: WindowState | None
    forecast: ForecastState
    since_up_s: Mapping[Key, float]


@dataclass(frozen=True, slots=True)
class LaneDecision:
    """The decision on one lane, and the states after it.

    arriving_per_s: candidates a second over the panic window. forecast: None if forecasts are not made. misses: of the
    whole pipeline. weights: the split of the unit's work; empty if the lane has one pool.
    """

    replicas: Mapping[Key, int]
    reasons: Mapping[Key, str]
    weights: Mapping[str, Mapping[str, float]]
    arriving_per_s: float
    window: WindowState
    forecast: ForecastState | None
    misses: MissState


def lanes_of(spec: PipelineSpec, *, over_pools: bool) -> tuple[Lane, ...]:
    """Give a pipeline's lanes, the ingress's first. over_pools: units are split over their pools, one lane each."""
    if over_pools:
        return tuple(Lane(u.name, tuple(Key(u.name, p.pool) for p in u.placed)) for u in spec.units)
    return tuple(Lane(str(key), (key,)) for key in spec.keys())


def weights_of(
    lane: Lane, mix: Mix, here: Sequence[UnitObservation], options: Sequence[PoolOption]
) -> dict[str, Mapping[str, float]]:
    """Give the split of a unit's work: by what is ready, and stays, in each pool."""
    for counts in ([min(n, unit.ready) for n, unit in zip(mix, here, strict=True)], mix):
        able = [count * option.per_s for count, option in zip(counts, options, strict=True)]
        if sum(able) > 0:
            split = {key.pool: part / sum(able) for key, part in zip(lane.keys, able, strict=True)}
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
    """Say why ``key`` goes from ``target`` to ``number``: its load, and what a replica takes within its share."""
    change = f"{target} -> {number}" if number != target else f"stays at {number}"
    kept = f"serves {per_s:.0f} with p99 under {share_s * 1000:.0f} ms"
    if not capacity.feasible:
        kept = f"gets {per_s:.0f}, although the p99 of one request alone is above {share_s * 1000:.0f} ms"
    elif capacity.calls is not None:
        kept = (
            f"serves {per_s:.0f}, limited by {capacity.calls.calls} calls in flight to {capacity.calls.unit}"
        )
    if len(lane.keys) > 1:
        return f"{key} {change}: {load.up:.0f} candidates/s for {key.unit} {load.why}; a replica in this pool {kept}"
    return f"{key} {change}: {load.up / max(1, target):.0f} candidates/s per replica {load.why}; a replica {kept}"
