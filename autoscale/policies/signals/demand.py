"""Demand: what arrives at a unit, and what was meant for it but was refused or answered with less before."""

from collections.abc import Mapping
from dataclasses import replace

from autoscale.capacity.calls import next_unit
from autoscale.policies.base import UnitObservation
from autoscale.spec import Key, PipelineSpec

_SHARES = 20
"""Shares of pools are told apart to a twentieth, so that chance does not move targets."""


def demanded(
    spec: PipelineSpec, seen: Mapping[Key, UnitObservation], ratios: Mapping[str, float]
) -> dict[Key, UnitObservation]:
    """Return the observations with what did not reach a unit added to what arrives there.

    These are requests that the ingress refused, or that fell to a lower rung there. They cannot be more than the unit's
    share of what arrives at the ingress, less what arrives at the unit: a request that fell after its call had reached
    the unit is counted there already. Why they fell does not matter, so a unit that fails keeps the replicas that its
    load takes. ratios: by unit, its share of what the ingress takes in.
    """
    ingress = spec.units[0].name
    at_ingress = [unit for key, unit in seen.items() if key.unit == ingress]
    requests = sum(unit.arriving_requests_per_s for unit in at_ingress)
    candidates = sum(unit.arriving_candidates_per_s for unit in at_ingress)
    shed = sum(unit.shed_requests_per_s for unit in at_ingress)
    result = dict(seen)
    if not (requests > 0 and shed > 0):
        return result
    for unit in spec.units[1:]:
        keys = [Key(unit.name, placed.pool) for placed in unit.placed]
        came = sum(seen[key].arriving_candidates_per_s for key in keys)
        share_of_all = candidates * ratios.get(unit.name, 1.0)
        lacking = min(shed / requests * share_of_all, share_of_all - came)
        if lacking <= 0:
            continue
        for index, key in enumerate(keys):
            share = seen[key].arriving_candidates_per_s / came if came > 0 else float(not index)
            result[key] = replace(
                seen[key],
                arriving_requests_per_s=seen[key].arriving_requests_per_s
                + lacking * share * requests / candidates,
                arriving_candidates_per_s=seen[key].arriving_candidates_per_s + lacking * share,
            )
    return result


def shares_behind(spec: PipelineSpec, unit: str, seen: Mapping[Key, UnitObservation]) -> dict[str, float]:
    """Return how the calls of a unit are spread over the next one's pools: as now, or as its first replicas are."""
    behind = next_unit(spec, unit)
    if behind is None:
        return {}
    now = {p.pool: seen[Key(behind.name, p.pool)].arriving_candidates_per_s for p in behind.placed}
    total = sum(now.values())
    if total > 0:
        return {pool: round(_SHARES * came / total) / _SHARES for pool, came in now.items()}
    return {placed.pool: float(placed.initial_replicas) for placed in behind.placed}


def missed_share(spec: PipelineSpec, seen: Mapping[Key, UnitObservation]) -> float:
    """Return the share of the requests that missed the objective for lack of time."""
    ingress = [unit for key, unit in seen.items() if key.unit == spec.units[0].name]
    arriving = sum(unit.arriving_requests_per_s for unit in ingress)
    missed = sum(unit.missed_requests_per_s for unit in ingress)
    return min(1.0, missed / arriving) if arriving > 0 else 0.0


def shed_share(spec: PipelineSpec, seen: Mapping[Key, UnitObservation]) -> float:
    """Return the share of the requests that the ingress refused or answered with less."""
    ingress = [unit for key, unit in seen.items() if key.unit == spec.units[0].name]
    arriving = sum(unit.arriving_requests_per_s for unit in ingress)
    shed = sum(unit.shed_requests_per_s for unit in ingress)
    return min(1.0, shed / arriving) if arriving > 0 else 0.0
