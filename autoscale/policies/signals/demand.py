"""Demand: the load that arrives at a unit, plus the load that was shed before it reached the unit."""

from collections.abc import Mapping
from dataclasses import replace

from autoscale.capacity.calls import next_unit
from autoscale.policies.base import UnitObservation
from autoscale.spec import Key, PipelineSpec

_SHARES = 20
"""Pool shares are rounded to a twentieth, so that random fluctuations do not change targets."""


def demanded(
    spec: PipelineSpec, seen: Mapping[Key, UnitObservation], ratios: Mapping[str, float]
) -> dict[Key, UnitObservation]:
    """Return the observations, with the requests that did not reach a unit added to its arrivals.

    The ingress refused these requests, or answered them with a lower rung. The addition is at most the unit's share of
    the ingress arrivals minus the unit's own arrivals. Otherwise a request that was shed after its call had reached the
    unit would be counted twice. It does not matter why a request was shed. Therefore a unit that fails keeps the
    replicas that its load needs.

    For example, 1,000 candidates/s arrive at the ingress, 30% are shed, and 800 arrive at the ranker. Then 200 are
    added at the ranker.

    Args:
        spec: the pipeline.
        seen: the observations.
        ratios: by unit, its candidates relative to the candidates at the ingress. The default is 1.
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
        unit_per_s = sum(seen[key].arriving_candidates_per_s for key in keys)
        share_of_all = candidates * ratios.get(unit.name, 1.0)
        added_per_s = min(shed / requests * share_of_all, share_of_all - unit_per_s)
        if added_per_s <= 0:
            continue
        for index, key in enumerate(keys):
            share = seen[key].arriving_candidates_per_s / unit_per_s if unit_per_s > 0 else float(not index)
            result[key] = replace(
                seen[key],
                arriving_requests_per_s=seen[key].arriving_requests_per_s
                + added_per_s * share * requests / candidates,
                arriving_candidates_per_s=seen[key].arriving_candidates_per_s + added_per_s * share,
            )
    return result


def shares_behind(spec: PipelineSpec, unit: str, seen: Mapping[Key, UnitObservation]) -> dict[str, float]:
    """Return the split of a unit's calls over the next unit's pools.

    It is the present split of arrivals. Without arrivals it follows the initial replicas.
    """
    called = next_unit(spec, unit)
    if called is None:
        return {}
    now = {p.pool: seen[Key(called.name, p.pool)].arriving_candidates_per_s for p in called.placed}
    total = sum(now.values())
    if total > 0:
        return {pool: round(_SHARES * per_s / total) / _SHARES for pool, per_s in now.items()}
    return {placed.pool: float(placed.initial_replicas) for placed in called.placed}


def missed_share(spec: PipelineSpec, seen: Mapping[Key, UnitObservation]) -> float:
    """Return the share of requests that missed the objective for lack of time."""
    ingress = [unit for key, unit in seen.items() if key.unit == spec.units[0].name]
    arriving = sum(unit.arriving_requests_per_s for unit in ingress)
    missed = sum(unit.missed_requests_per_s for unit in ingress)
    return min(1.0, missed / arriving) if arriving > 0 else 0.0


def shed_share(spec: PipelineSpec, seen: Mapping[Key, UnitObservation]) -> float:
    """Return the share of requests that the ingress refused or answered with a lower rung."""
    ingress = [unit for key, unit in seen.items() if key.unit == spec.units[0].name]
    arriving = sum(unit.arriving_requests_per_s for unit in ingress)
    shed = sum(unit.shed_requests_per_s for unit in ingress)
    return min(1.0, shed / arriving) if arriving > 0 else 0.0
