"""Units behind the ingress, sized by what comes through it: how much of its work goes on to each of them."""

import math
from collections.abc import Mapping, Sequence

from autoscale.policies.base import UnitObservation
from autoscale.spec import Key, PipelineSpec

_RATIO_S = 300.0
"""Time constant of how much of what the ingress takes in goes on to each unit."""


def learnt_ratios(
    spec: PipelineSpec,
    seen: Mapping[Key, UnitObservation],
    before: Mapping[str, float],
    elapsed_s: float,
) -> Mapping[str, float]:
    """Return by unit its share of the candidates that arrive at the ingress, as learnt until now.

    seen: with what did not reach a unit (``demand.py``), so that a unit that is too small is not taken for one that
    is not asked.
    """
    ingress = spec.units[0].name
    arriving = sum(u.arriving_candidates_per_s for key, u in seen.items() if key.unit == ingress)
    if arriving <= 0 or elapsed_s <= 0:
        return before
    learnt = -math.expm1(-elapsed_s / _RATIO_S)
    ratios = {}
    for unit in spec.units[1:]:
        came = sum(u.arriving_candidates_per_s for key, u in seen.items() if key.unit == unit.name)
        known = before.get(unit.name, 1.0)
        ratios[unit.name] = known + learnt * (min(came / arriving, 10.0) - known)
    return ratios


def derived_per_s(
    spec: PipelineSpec,
    lane: Sequence[Key],
    seen: Mapping[Key, UnitObservation],
    ratios: Mapping[str, float],
    through: float,
) -> float:
    """Give what ``through`` candidates/s at the ingress will be at some of a unit's pools, by their share of it now."""
    unit = lane[0].unit
    pools = [key for key in spec.keys() if key.unit == unit]
    came = sum(seen[key].arriving_candidates_per_s for key in pools)
    here = sum(seen[key].arriving_candidates_per_s for key in lane)
    share = here / came if came > 0 else float(pools[0] in lane)
    return through * ratios.get(unit, 1.0) * share
