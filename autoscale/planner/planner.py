"""The planner: how many nodes a load needs in each pool, their cost, and the bottleneck."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from autoscale.advice import call_limited
from autoscale.capacity.request_capacity import RequestCapacity, request_capacities
from autoscale.capacity.sizing import Sizing
from autoscale.planner.provisioning import PlanOptions, provision
from autoscale.planner.results import Provision
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan for a load.

    Attributes:
        sized: the nodes and replicas for the load itself.
        growth: the nodes and replicas for multiples of the load.
        bottleneck: the unit that costs most, and how to make it cheaper.
        notes: limits that the plan exceeds, and where the profiles come from.
    """

    pipeline: str
    options: PlanOptions
    p99_ms: float
    sized: Provision
    growth: tuple[Provision, ...]
    bottleneck: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plan in types that JSON supports."""
        plain = asdict(replace(self, options=None))  # type: ignore[arg-type]
        plain["options"] = self.options.model_dump()
        plain["sized"]["cost_per_year"] = 365 * self.sized.cost_per_day
        return plain


def plan(spec: PipelineSpec, options: PlanOptions, growth: Sequence[float] = (10.0, 100.0)) -> Plan:
    """Plan for the load, and for its multiples in ``growth``.

    Raises:
        SpecError: no pool answers within a unit's share of the objective, a replica fits no node, or no plan is found.
    """
    loads = request_capacities(spec)
    size = provision(spec, loads, options)
    grown = tuple(
        provision(
            spec, loads, options.model_copy(update={"requests_per_day": options.requests_per_day * factor})
        )
        for factor in growth
    )
    return Plan(
        pipeline=spec.name,
        options=options,
        p99_ms=spec.p99_ms,
        sized=size,
        growth=grown,
        bottleneck=_bottleneck(spec, size, loads),
        notes=tuple(_notes(spec, size, options)),
    )


def _bottleneck(spec: PipelineSpec, size: Provision, loads: Mapping[Key, RequestCapacity]) -> str:
    by_unit: dict[str, float] = {}
    for name, unit in size.units.items():
        weight = unit.share_of_cost or unit.replicas / sum(other.replicas for other in size.units.values())
        by_unit[name.partition("@")[0]] = by_unit.get(name.partition("@")[0], 0.0) + weight
    worst = max(by_unit, key=by_unit.__getitem__)
    name, unit = max(
        ((name, unit) for name, unit in size.units.items() if name.partition("@")[0] == worst),
        key=lambda item: item[1].share,
    )
    used = unit.requests_per_s_of_a_replica / unit.saturated_requests_per_s
    if loads[Key(*name.split("@"))].limited_by_calls:
        why = f"its calls in flight limit this rate; raise units.{worst}.max_calls_in_flight"
    else:
        why = (
            "saturation limits this rate; faster batches help"
            if used > 0.8
            else f"the unit's share of the {spec.p99_ms:g} ms limits this rate; more time or steadier batches help"
        )
    saved = size.cost_per_day * by_unit[worst] * (1 - 1 / 1.1)
    _, pool = name.split("@")
    rate = unit.requests_per_s_of_a_replica
    return (
        f"{worst} causes {by_unit[worst]:.0%} of the replica cost. Its nodes in pool {pool} run out of "
        f"{unit.runs_out_of} first. A replica serves {rate:.1f} requests/s within the unit's share of the objective, "
        f"which is {used:.0%} of its saturation: {why}. Batches that take 10% less time would save about "
        f"{saved:,.0f} per day"
    )


def _notes(spec: PipelineSpec, size: Provision, options: PlanOptions) -> Iterator[str]:
    for name, pool in size.pools.items():
        per_cell = math.ceil(pool.nodes / size.cells)
        if per_cell > spec.pools[name].max_nodes:
            yield (
                f"pools.{name}.max_nodes: a cell needs {per_cell} nodes, got {spec.pools[name].max_nodes}; raise "
                f"max_nodes"
            )
        if not spec.pools[name].price_per_hour:
            yield f"pools.{name}.price_per_hour: is 0, so the pool's nodes count as free"
    for unit in spec.units:
        for placed in unit.placed:
            name = str(Key(unit.name, placed.pool))
            replicas_per_cell = math.ceil(size.units[name].replicas / size.cells) if name in size.units else 0
            if replicas_per_cell > placed.max_replicas:
                yield (
                    f"autoscaling.bounds.{name}: a cell needs {replicas_per_cell} replicas, got max_replicas "
                    f"{placed.max_replicas}; raise max_replicas"
                )
    used = {Key(*name.split("@")) for name in size.units}
    yield from call_limited(spec, Sizing(spec), used)
    by_machine: dict[str, list[str]] = {}
    for key in spec.keys():
        by_machine.setdefault(spec.placed(key).profile.machine, []).append(str(key))
    for machine, names in by_machine.items():
        yield f"the profile{'s' * (len(names) > 1)} of {', '.join(names)}: {machine}"
    if size.cells > 1:
        yield (
            f"a cell (one Ray cluster) is planned with at most {options.replicas_per_cell} replicas and "
            f"{options.nodes_per_cell} nodes, because its controller is one process. {size.cells} cells share the "
            f"traffic evenly, through DNS or a load balancer"
        )
