import dataclasses

from autoscale.advice import meaningless, unpriced, unreachable, unused
from autoscale.config import AutoscalingConfig
from autoscale.pools import PoolConfig
from tests.autoscale.policies.pipelines import ALONE, CHAIN, POOLS


def config(kind: str = "slo", p99_ms: float = 80) -> AutoscalingConfig:
    return AutoscalingConfig.model_validate({"policy": {"kind": kind}, "p99_ms": p99_ms})


def test_coupled_and_cheapest_are_redundant_for_one_unit_in_one_pool() -> None:
    result = meaningless(config(), ALONE)
    assert list(result) == ["coupled", "cheapest"]
    assert "has one unit" in result["coupled"]
    assert list(meaningless(config(), CHAIN)) == ["cheapest"]
    assert meaningless(config(), POOLS) == {}


def test_warns_that_pools_have_no_prices() -> None:
    free = {name: pool.model_copy(update={"price_per_hour": 0.0}) for name, pool in POOLS.pools.items()}
    assert "no pool has a price" in meaningless(config(), dataclasses.replace(POOLS, pools=free))["cheapest"]


def test_warns_of_a_pool_without_a_price_beside_one_with_a_price() -> None:
    gpu = POOLS.pools["gpu"].model_copy(update={"price_per_hour": 0.0})
    spec = dataclasses.replace(POOLS, pools={**POOLS.pools, "gpu": gpu})
    assert unpriced(config("cheapest"), spec) == [
        "pools.gpu.price_per_hour: not set, so cheapest takes 1 as the price of a node, for ranker in comparison with "
        "cpu 0.8; set the price"
    ]
    assert unpriced(config("cheapest"), POOLS) == []
    assert unpriced(config("coupled"), spec) == []


def test_warns_of_a_pool_that_the_policy_never_uses() -> None:
    front, ranker = POOLS.units
    cpu, gpu = ranker.placed
    empty = dataclasses.replace(ranker, placed=(cpu, dataclasses.replace(gpu, initial_replicas=0)))
    spec = dataclasses.replace(POOLS, units=(front, empty))
    (line,) = unused(config("slo"), spec)
    assert line.startswith("units.ranker.pools.gpu: starts without a replica and gets no calls, because slo ")
    assert unused(config("slo"), POOLS) == unused(config("cheapest"), spec) == []
    small = {**POOLS.pools, "gpu": POOLS.pools["gpu"].model_copy(update={"memory_gib": 0.25})}
    assert unused(config("cheapest"), dataclasses.replace(spec, pools=small)) == [
        "pools.gpu.memory_gib: a replica of ranker@gpu takes 500 MiB, so cheapest never uses the pool, got 0.25; "
        "describe larger nodes"
    ]


def test_predictive_is_redundant_if_replicas_start_within_the_decision_interval() -> None:
    pools = {"cpu": PoolConfig(cpus=8, memory_gib=32, provisioning_s=0)}
    patient = AutoscalingConfig.model_validate(
        {"policy": {"kind": "predictive"}, "p99_ms": 80, "decision_interval_s": 30}
    )
    assert "predictive" in meaningless(patient, dataclasses.replace(ALONE, pools=pools))


def test_unreachable_objective_names_unit_and_pool() -> None:
    assert unreachable(config(), POOLS) == []
    assert unreachable(config("target_ongoing", p99_ms=1), POOLS) == []
    (line,) = unreachable(config(p99_ms=4), ALONE)
    assert line.startswith("autoscaling.p99_ms: leaves 2.7 ms for ranker@cpu, but one request alone takes ")
    assert "got 4; raise p99_ms" in line
