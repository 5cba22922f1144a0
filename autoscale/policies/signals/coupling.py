"""Coupling: load behind the ingress, derived from the load at the ingress."""

import math
from collections.abc import Mapping, Sequence

from autoscale.policies.base import UnitObservation
from autoscale.spec import Key, PipelineSpec

_RATIO_S = 300.0
"""Time constant for learning the ratios."""


def learnt_ratios(
    spec: PipelineSpec,
    seen: Mapping[Key, UnitObservation],
    before: Mapping[str, float],
    elapsed_s: float,
) -> Mapping[str, float]:
    """Return each unit's candidates relative to the candidates at the ingress, as an exponential average.

    Args:
        spec: the pipeline.
        seen: observations that also count requests that did not reach a unit (``demand.py``). Otherwise a unit with too
            few replicas would look like a unit that is rarely called.
        before: the previous ratios.
        elapsed_s: time since the previous decision.
    """
    ingress = spec.units[0].name
    arriving = sum(u.arriving_candidates_per_s for key, u in seen.items() if key.unit == ingress)
    if arriving <= 0 or elapsed_s <= 0:
        return before
    rate = -math.expm1(-elapsed_s / _RATIO_S)
    ratios = {}
    for unit in spec.units[1:]:
        unit_per_s = sum(u.arriving_candidates_per_s for key, u in seen.items() if key.unit == unit.name)
        known = before.get(unit.name, 1.0)
        ratios[unit.name] = known + rate * (min(unit_per_s / arriving, 10.0) - known)
    return ratios


def derived_per_s(
    spec: PipelineSpec,
    lane: Sequence[Key],
    seen: Mapping[Key, UnitObservation],
    ratios: Mapping[str, float],
    through: float,
) -> float:
    """Return the lane's load, in candidates/s, that follows from ``through`` candidates/s at the ingress.

    If the lane has only some of the unit's pools, it gets their present share of the unit's load.
    """
    unit = lane[0].unit
    pools = [key for key in spec.keys() if key.unit == unit]
    unit_per_s = sum(seen[key].arriving_candidates_per_s for key in pools)
    lane_per_s = sum(seen[key].arriving_candidates_per_s for key in lane)
    share = lane_per_s / unit_per_s if unit_per_s > 0 else float(pools[0] in lane)
    return through * ratios.get(unit, 1.0) * share
