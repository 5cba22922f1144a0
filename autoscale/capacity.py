"""What a replica takes within its unit's share of the objective."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoscale.batch_queue import BatchQueue, candidates_per_s_within
from autoscale.errors import SpecError
from autoscale.service_time import service_time
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of one replica: requests a second with p99 within its share, and when it is never idle."""

    requests_per_s: float
    saturated_requests_per_s: float


def capacities(spec: PipelineSpec) -> dict[Key, Capacity]:
    """Give what replicas of each unit take in each pool; pools too slow for the unit's share are left out.

    A spot pool's replicas count for the part of the time that they are there.

    Raises:
        SpecError: no pool of a unit answers a request within its share.
    """
    shares_s = shares(spec)
    loads: dict[Key, Capacity] = {}
    for unit in spec.units:
        for placed in unit.placed:
            service, size = service_time(placed.profile), float(spec.candidates_per_request)
            within_s = shares_s[unit.name] - service.overhead_s
            rate = (
                candidates_per_s_within(service, size, unit.max_candidates, within_s) / size
                if within_s > 0
                else 0.0
            )
            if rate > 0:
                there = _there(spec, Key(unit.name, placed.pool))
                saturated = BatchQueue(service, size, unit.max_candidates).saturation_per_s
                loads[Key(unit.name, placed.pool)] = Capacity(rate * there, saturated * there)
        if not any(key.unit == unit.name for key in loads):
            raise SpecError(
                f"{unit.name} does not answer {spec.candidates_per_request} candidates within its share of the "
                f"objective, {shares_s[unit.name] * 1e3:.0f} of {spec.p99_ms:g} ms, in any of its pools: raise "
                f"autoscaling.p99_ms or its share, lower candidates.count, or give it a faster pool"
            )
    return loads


def shares(spec: PipelineSpec) -> Mapping[str, float]:
    """Give each unit's share of the objective in seconds; what is not given is shared out by what a request takes."""
    size = spec.candidates_per_request
    alone = {
        unit.name: min(
            service.overhead_s + float(service.batch_s(1, size))
            for service in (service_time(placed.profile) for placed in unit.placed)
        )
        for unit in spec.units
    }
    left = 1.0 - sum(spec.shares.values())
    rest = sum(time_s for name, time_s in alone.items() if name not in spec.shares)
    return {
        name: spec.p99_ms / 1e3 * spec.shares.get(name, left * time_s / rest if rest else 0.0)
        for name, time_s in alone.items()
    }


def _there(spec: PipelineSpec, key: Key) -> float:
    spot = spec.pools[key.pool].spot
    if spot is None:
        return 1.0
    away_s = spec.pools[key.pool].provisioning_s + spec.placed(key).profile.startup_s - spot.notice_s
    return 1.0 / (1.0 + max(0.0, away_s) * spot.interruptions_per_hour / 3600)
