"""Provisioning: a mixed-integer program for one zone's nodes, and a search for enough cells.

Each way to fill a pool's node is a variable, as in the cutting-stock problem (P. C. Gilmore and R. E. Gomory, "A linear
programming approach to the cutting-stock problem", Operations Research 9, 1961). Therefore the planned replicas really
fit the planned nodes. All zones are equal, and each has one spare node in every pool that it uses.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoscale.capacity.request_capacity import RequestCapacity
from autoscale.errors import SpecError
from autoscale.planner.packings import Packing, largest_part, packings
from autoscale.planner.results import PlannedPool, PlannedUnit, Provision
from autoscale.spec import Key, PipelineSpec

DAY_S = 86_400.0
_SOLVER_LIMIT_S = 20.0
_CELL_ROUNDS = 20


class PlanOptions(BaseModel):
    """The load and the limits for a plan.

    A cell is one Ray cluster. Its controller and GCS are one process each, so its size is limited. Ray's own controller
    benchmark (serve_controller_benchmark_haproxy) goes up to 4,096 idle replicas on some 220 nodes, and Ray's
    scalability envelope goes up to 250 nodes. The defaults are 250 nodes and half of those replicas, because Rankway's
    replicas report every second.

    Attributes:
        peak_factor: the day's highest rate, relative to its mean rate.
        zones: number of equal zones. The traffic is spread evenly over them.
        survive_zone: whether the other zones carry the peak if one zone is lost. Otherwise a zone survives only the
            loss of one node in each pool.
        replicas_per_cell: at most this many replicas in one Ray cluster.
        nodes_per_cell: at most this many nodes in one Ray cluster.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requests_per_day: float = Field(gt=0, le=1e14)
    peak_factor: float = Field(default=4.0, ge=1, le=1000)
    zones: int = Field(default=3, ge=1, le=100)
    survive_zone: bool = False
    replicas_per_cell: int = Field(default=2048, ge=1, le=1_000_000)
    nodes_per_cell: int = Field(default=250, ge=1, le=1_000_000)


@dataclass(frozen=True, slots=True)
class _Zone:
    """One zone in one cell: nodes by pool, including the spare node, and replicas by key."""

    nodes: Mapping[str, int]
    replicas: Mapping[Key, int]


def provision(spec: PipelineSpec, loads: Mapping[Key, RequestCapacity], options: PlanOptions) -> Provision:
    """Size cells and zones for the load.

    Raises:
        SpecError: a replica fits no node, the solver finds no plan, or a cell is too small for all its zones.
    """
    mean = options.requests_per_day / DAY_S
    peak = mean * options.peak_factor
    cells, zone = 1, _zone(spec, loads, options, peak)
    for _ in range(_CELL_ROUNDS):
        over = max(
            options.zones * sum(zone.replicas.values()) / options.replicas_per_cell,
            options.zones * sum(zone.nodes.values()) / options.nodes_per_cell,
        )
        if over <= 1:
            break
        cells = max(cells + 1, math.ceil(cells * over))
        zone = _zone(spec, loads, options, peak / cells)
    else:
        raise SpecError(
            f"zones: a cell of {options.nodes_per_cell} nodes and {options.replicas_per_cell} replicas cannot hold "
            f"{options.zones} zones with their spare nodes; raise nodes_per_cell or replicas_per_cell, or plan for "
            f"fewer zones"
        )
    quiet = _zone(spec, loads, options, mean / cells)
    times = cells * options.zones
    return Provision(
        requests_per_day=options.requests_per_day,
        peak_requests_per_s=peak,
        cells=cells,
        units=_planned_units(spec, loads, zone, times),
        pools={
            name: PlannedPool(times * count, times, times * count * spec.pools[name].price_per_hour * 24)
            for name, count in zone.nodes.items()
        },
        cost_per_day=times * _zone_cost(spec, zone) * 24,
        cost_per_day_at_mean=times * _zone_cost(spec, quiet) * 24,
    )


def _zone(
    spec: PipelineSpec, loads: Mapping[Key, RequestCapacity], options: PlanOptions, requests_per_s: float
) -> _Zone:
    """Solve the program for one zone, which serves its part of the rate.

    The variables are the node count for each packing, then a 0/1 variable for each pool, which says whether the pool is
    used. A used pool has one spare node.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    carrying = max(1, options.zones - 1) if options.survive_zone else options.zones
    need = requests_per_s / carrying
    ways = packings(spec, loads)
    pools = sorted({packing.pool for packing in ways})
    served = np.array(
        [
            [
                packing.replicas[index] * loads[Key(unit.name, packing.pool)].requests_per_s
                if packing.replicas[index]
                else 0.0
                for packing in ways
            ]
            + [0.0] * len(pools)
            for index, unit in enumerate(spec.units)
        ]
    )
    most = np.array([_most_nodes(packing, spec, loads, need) for packing in ways])
    in_pool = np.array([[float(packing.pool == pool) for packing in ways] for pool in pools])
    # An unused pool has no nodes.
    used_only = np.hstack([in_pool, -np.diag([float((row * most).sum()) for row in in_pool])])
    # The 1e-6 below makes the fewest nodes cheapest if no pool has a price.
    prices = np.array([spec.pools[packing.pool].price_per_hour for packing in ways])
    pool_prices = np.array([spec.pools[pool].price_per_hour for pool in pools])
    solved = milp(
        np.concatenate([prices, pool_prices]) + 1e-6,
        constraints=[LinearConstraint(served / need, 1.0, np.inf), LinearConstraint(used_only, -np.inf, 0.0)],
        bounds=Bounds(0.0, np.concatenate([most, np.ones(len(pools))])),
        integrality=np.ones(len(ways) + len(pools), dtype=np.int64),
        options={"time_limit": _SOLVER_LIMIT_S, "mip_rel_gap": 1e-4},
    )
    if solved.x is None:
        raise SpecError(f"{spec.name}: no plan found for {requests_per_s:g} requests/s, got {solved.message}")
    counts = np.rint(solved.x[: len(ways)]).astype(np.int64)
    return _trimmed(spec, loads, ways, counts, need)


def _trimmed(
    spec: PipelineSpec,
    loads: Mapping[Key, RequestCapacity],
    ways: Sequence[Packing],
    counts: NDArray[np.int64],
    need: float,
) -> _Zone:
    """Count nodes and replicas. Replicas that the rate does not need are left out."""
    nodes: dict[str, int] = {}
    placed: dict[Key, int] = {}
    for packing, count in zip(ways, counts.tolist(), strict=True):
        if count:
            nodes[packing.pool] = nodes.get(packing.pool, 1) + count  # the 1 is the spare node
            for unit, replicas in zip(spec.units, packing.replicas, strict=True):
                key = Key(unit.name, packing.pool)
                placed[key] = placed.get(key, 0) + count * replicas
    for unit in spec.units:
        unit_replicas = {key: n for key, n in placed.items() if key.unit == unit.name and n}
        rate = sum(n * loads[key].requests_per_s for key, n in unit_replicas.items())
        for key, n in unit_replicas.items():
            placed[key] = min(n, math.ceil(n * need / rate - 1e-9))
    return _Zone(nodes, {key: n for key, n in placed.items() if n})


def _most_nodes(
    packing: Packing, spec: PipelineSpec, loads: Mapping[Key, RequestCapacity], need: float
) -> float:
    """Return the largest useful number of nodes with this packing. These nodes alone can serve each unit in it."""
    pairs = zip(spec.units, packing.replicas, strict=True)
    return max(
        math.ceil(need / (count * loads[Key(unit.name, packing.pool)].requests_per_s)) + 1.0
        for unit, count in pairs
        if count
    )


def _planned_units(
    spec: PipelineSpec, loads: Mapping[Key, RequestCapacity], zone: _Zone, times: int
) -> dict[str, PlannedUnit]:
    weights = {
        key: n * largest_part(spec, key)[0] * spec.pools[key.pool].price_per_hour
        for key, n in zone.replicas.items()
    }
    total = sum(weights.values())
    planned = {}
    for key, n in zone.replicas.items():
        unit_rate = sum(m * loads[k].requests_per_s for k, m in zone.replicas.items() if k.unit == key.unit)
        planned[str(key)] = PlannedUnit(
            replicas=times * n,
            requests_per_s_of_a_replica=loads[key].requests_per_s,
            saturated_requests_per_s=loads[key].saturated_requests_per_s,
            share=n * loads[key].requests_per_s / unit_rate,
            share_of_cost=weights[key] / total if total else 0.0,
            runs_out_of=largest_part(spec, key)[1],
        )
    return planned


def _zone_cost(spec: PipelineSpec, zone: _Zone) -> float:
    return sum(count * spec.pools[pool].price_per_hour for pool, count in zone.nodes.items())
