"""The planner: the planned nodes have room for the replicas, carry the load, and cost as little as possible."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.capacity.request_capacity import request_capacities
from autoscale.errors import SpecError
from autoscale.planner.planner import plan
from autoscale.planner.provisioning import PlanOptions
from autoscale.pools import PoolConfig, SpotConfig
from autoscale.profiles import Profile, Timing
from autoscale.spec import Key, PipelineSpec, PlacedUnit, UnitSpec


def profile(unit: str, pool: str, ms: float, memory_mib: float = 500.0) -> Profile:
    """Return a profile: a batch of one request takes ``ms``, and a batch of ten takes five times as long."""
    timings = tuple(
        Timing(requests=n, candidates=100 * n, p50_ms=t, p99_ms=1.2 * t, mean_ms=t, runs=50)
        for n, t in ((1, ms), (10, 5 * ms))
    )
    return Profile(
        unit=unit, pool=pool, machine="a test's", timings=timings, startup_s=5.0, memory_mib=memory_mib
    )


def unit(name: str, *placed: PlacedUnit) -> UnitSpec:
    return UnitSpec(name, placed, max_candidates=1000, max_waiting_candidates=100_000)


def placed(name: str, pool: str, ms: float, cpus: float = 1.0, gpus: float = 0.0) -> PlacedUnit:
    return PlacedUnit(pool, profile(name, pool, ms), cpus, gpus)


CPU = PoolConfig(cpus=8, memory_gib=32, price_per_hour=0.4)
GPU = PoolConfig(cpus=8, memory_gib=32, gpus=1, price_per_hour=2.0)
ONE = PipelineSpec("one", (unit("main", placed("main", "cpu", 5.0)),), {"cpu": CPU}, 100.0, 500.0, None, 100)
TWO = PipelineSpec(
    "two",
    (
        unit("ingress", placed("ingress", "cpu", 2.0, cpus=0.5)),
        unit("ranker", placed("ranker", "cpu", 10.0), placed("ranker", "gpu", 1.0, gpus=0.5)),
    ),
    {"cpu": CPU, "gpu": GPU},
    100.0,
    500.0,
    None,
    100,
)


@pytest.mark.parametrize("spec", [ONE, TWO], ids=lambda spec: str(spec.name))
@settings(max_examples=3, deadline=None)
@given(requests=st.floats(1e3, 3e9), zones=st.integers(1, 4), survive=st.booleans())
def test_planned_nodes_carry_the_peak_without_spare_nodes_or_a_lost_zone(
    spec: PipelineSpec, requests: float, zones: int, survive: bool
) -> None:
    options = PlanOptions(requests_per_day=requests, zones=zones, survive_zone=survive)
    result = plan(spec, options, growth=())
    loads, sized = request_capacities(spec), result.sized
    carrying = (max(1, zones - 1) if survive else zones) / zones
    for unit_spec in spec.units:
        rate = sum(
            planned.replicas * loads[Key(unit_spec.name, name.partition("@")[2])].requests_per_s
            for name, planned in sized.units.items()
            if name.partition("@")[0] == unit_spec.name
        )
        assert rate * carrying >= sized.peak_requests_per_s * (1 - 1e-6)
    for name, pool in sized.pools.items():
        keys = [Key(*text.split("@")) for text in sized.units if text.endswith(f"@{name}")]
        cpus = sum(sized.units[str(key)].replicas * spec.placed(key).cpus for key in keys)
        assert cpus <= (pool.nodes - pool.spare) * spec.pools[name].cpus + 1e-6
        assert pool.spare == zones * sized.cells
    assert sum(unit.replicas for unit in sized.units.values()) <= sized.cells * options.replicas_per_cell
    assert sized.nodes <= sized.cells * options.nodes_per_cell


def test_node_count_of_one_unit_equals_a_calculation_by_hand() -> None:
    load = request_capacities(ONE)[Key("main", "cpu")].requests_per_s
    options = PlanOptions(requests_per_day=1e9, peak_factor=3.0, zones=2)
    sized = plan(ONE, options, growth=()).sized
    replicas = math.ceil(1e9 / 86_400 * 3 / 2 / load)
    assert sized.units["main@cpu"].replicas == 2 * replicas
    assert sized.pools["cpu"].nodes == 2 * (math.ceil(replicas / 8) + 1)
    assert sized.cost_per_day == pytest.approx(sized.pools["cpu"].nodes * 0.4 * 24)
    assert sized.cost_per_day_at_mean < sized.cost_per_day


def test_work_goes_to_the_cheaper_pool() -> None:
    sized = plan(TWO, PlanOptions(requests_per_day=1e9), growth=()).sized
    assert sized.units["ranker@gpu"].share > 0.9
    dear = dataclasses.replace(
        TWO, pools={"cpu": CPU, "gpu": GPU.model_copy(update={"price_per_hour": 500.0})}
    )
    assert "ranker@gpu" not in plan(dear, PlanOptions(requests_per_day=1e9), growth=()).sized.units


def test_cluster_too_large_for_one_controller_is_divided_into_cells() -> None:
    few = PlanOptions(requests_per_day=1e9, nodes_per_cell=20)
    result = plan(ONE, few, growth=(10.0,))
    assert result.sized.cells > 1
    assert result.growth[0].cells > 5 * result.sized.cells
    assert any("cells" in note for note in result.notes)
    with pytest.raises(SpecError, match="cannot hold 3 zones"):
        plan(ONE, PlanOptions(requests_per_day=1e9, nodes_per_cell=2))


def test_spot_nodes_count_only_for_the_time_they_exist() -> None:
    spot = CPU.model_copy(update={"spot": SpotConfig(interruptions_per_hour=6.0), "provisioning_s": 320.0})
    key = Key("main", "cpu")
    there = request_capacities(dataclasses.replace(ONE, pools={"cpu": spot}))[key].requests_per_s
    assert there < 0.75 * request_capacities(ONE)[key].requests_per_s


def test_rejects_pipeline_that_cannot_be_planned() -> None:
    with pytest.raises(SpecError, match="no pool answers 100 candidates within the unit's share"):
        plan(dataclasses.replace(ONE, p99_ms=4.0), PlanOptions(requests_per_day=1e6))
    small = CPU.model_copy(update={"memory_gib": 0.1})
    with pytest.raises(SpecError, match="fits a node"):
        plan(dataclasses.replace(ONE, pools={"cpu": small}), PlanOptions(requests_per_day=1e6))
