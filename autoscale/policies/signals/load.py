"""The load that a lane is sized for, and what waiting work adds to it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autoscale.capacity.sizing import CandidateCapacity
from autoscale.policies.base import UnitObservation
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """Of a lane, in candidates/s. up: what is needed now. down: what has to stay. why: what made it so high."""

    up: float
    down: float
    why: str


def with_misses(load: LaneLoad, added: float, share: float) -> LaneLoad:
    """Return the load with the share that misses have added to it. share: of the requests that miss now."""
    if not added:
        return load
    lately = f"{share:.1%} of the answers are" if share else "recent answers were"
    why = f"{load.why} ({added:.0%} added because {lately} degraded, refused or late)"
    return replace(load, up=load.up * (1 + added), down=load.down * (1 + added), why=why)


def with_backlog(
    load: LaneLoad,
    spec: PipelineSpec,
    lane: Sequence[Key],
    here: Sequence[UnitObservation],
    capacities: Sequence[CandidateCapacity],
    since_up_s: Mapping[Key, float],
    drain_s: float,
) -> LaneLoad:
    """Add what will still wait once replicas that were asked for now are ready; what is starting helps, too.

    More than arrives within a deadline cannot wait: the rest is refused or answered with less. since_up_s: how long
    ago more were last asked for. drain_s: within so long it is worked off.
    """
    arriving = sum(unit.arriving_candidates_per_s for unit in here)
    startup_s = max(spec.placed(key).profile.startup_s for key in lane)
    worked, able, full = 0.0, 0.0, 0.0
    for key, unit, capacity in zip(lane, here, capacities, strict=True):
        left_s = max(0.0, startup_s - max(0.0, since_up_s.get(key, math.inf)))
        starting = max(0, unit.target - unit.ready)
        worked += capacity.saturation_per_s * (unit.ready * startup_s + starting * (startup_s - left_s))
        able += max(1, unit.target) * capacity.per_s
        full += max(1, unit.target) * capacity.saturation_per_s
    waiting = sum(unit.waiting_candidates for unit in here)
    most = max(waiting, arriving * spec.deadline_ms / 1000)
    backlog = min(waiting + arriving * startup_s - worked, most)
    needed = (arriving + backlog / drain_s) * able / full
    if backlog <= 0 or needed <= load.up:
        return load
    return replace(load, up=needed, why=f"arrive or come from a backlog of {backlog:.0f}")
