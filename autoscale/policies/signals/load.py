"""The load that a lane is sized for, and the additions for misses and backlog."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autoscale.capacity.sizing import CandidateCapacity
from autoscale.policies.base import UnitObservation
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """A lane's load, in candidates/s.

    Attributes:
        up: the load that needs capacity now.
        down: the load that limits steps down.
        why: where the load comes from, as part of the decision's reason.
    """

    up: float
    down: float
    why: str


def with_misses(load: LaneLoad, added: float, share: float) -> LaneLoad:
    """Return the load plus the share that misses add to it.

    Args:
        load: the load without misses.
        added: the share to add.
        share: the share of requests that miss now, for the text in ``why``.
    """
    if not added:
        return load
    recent = f"{share:.1%} of the answers are" if share else "recent answers were"
    why = f"{load.why} ({added:.0%} added because {recent} degraded, refused or late)"
    return replace(load, up=load.up * (1 + added), down=load.down * (1 + added), why=why)


def with_backlog(
    load: LaneLoad,
    spec: PipelineSpec,
    lane: Sequence[Key],
    observations: Sequence[UnitObservation],
    capacities: Sequence[CandidateCapacity],
    since_up_s: Mapping[Key, float],
    drain_s: float,
) -> LaneLoad:
    """Return the load plus the backlog that will remain when replicas that are requested now are ready.

    Starting replicas count from the time at which they will be ready. The remaining backlog is at most the present one
    or the arrivals within a deadline, because older requests are refused or answered by a lower rung.

    Args:
        load: the load without a backlog.
        spec: the pipeline.
        lane: the lane's keys.
        observations: the observation for each key.
        capacities: a replica's capacity for each key.
        since_up_s: by key, the time since more replicas were last requested.
        drain_s: the time in which the backlog is to be cleared.
    """
    arriving = sum(unit.arriving_candidates_per_s for unit in observations)
    startup_s = max(spec.placed(key).profile.startup_s for key in lane)
    served, capacity_per_s, saturation_per_s = 0.0, 0.0, 0.0
    for key, unit, capacity in zip(lane, observations, capacities, strict=True):
        left_s = max(0.0, startup_s - max(0.0, since_up_s.get(key, math.inf)))
        starting = max(0, unit.target - unit.ready)
        served += capacity.saturation_per_s * (unit.ready * startup_s + starting * (startup_s - left_s))
        capacity_per_s += max(1, unit.target) * capacity.per_s
        saturation_per_s += max(1, unit.target) * capacity.saturation_per_s
    waiting = sum(unit.waiting_candidates for unit in observations)
    most = max(waiting, arriving * spec.deadline_ms / 1000)
    backlog = min(waiting + arriving * startup_s - served, most)
    needed = (arriving + backlog / drain_s) * capacity_per_s / saturation_per_s
    if backlog <= 0 or needed <= load.up:
        return load
    return replace(load, up=needed, why=f"arrive or come from a backlog of {backlog:.0f}")
