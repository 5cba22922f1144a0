from typing import Any

import pytest
from pydantic import ValidationError

from autoscale.config import AutoscalingConfig, make_policy
from autoscale.errors import PolicyError
from tests.autoscale.policies.pipelines import CPU, GPU, INGRESS, POOLS, observed, seen


def config(**changes: Any) -> AutoscalingConfig:
    return AutoscalingConfig.model_validate({"policy": {"kind": "target_ongoing"}, "p99_ms": 80, **changes})


def test_default_minimum_is_one_replica_in_the_first_pool() -> None:
    spec = config().applied_to(POOLS)
    lowest = {key: spec.placed(key).min_replicas for key in spec.keys()}
    assert lowest == {INGRESS: 1, CPU: 1, GPU: 0}
    assert (spec.p99_ms, spec.decision_interval_s) == (80, 5)


def test_bounds_of_a_pool_take_precedence_over_those_of_its_unit() -> None:
    bounds = {"ranker": {"min_replicas": 2, "max_replicas": 9}, "ranker@gpu": {"min_replicas": 0}}
    spec = config(bounds=bounds).applied_to(POOLS)
    assert (spec.placed(CPU).min_replicas, spec.placed(CPU).max_replicas) == (2, 9)
    assert (spec.placed(GPU).min_replicas, spec.placed(GPU).max_replicas) == (0, 9)
    assert spec.placed(CPU).initial_replicas == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"bounds": {"ranker": {"min_replicas": 3, "max_replicas": 2}}},
            "min_replicas: must be at most max_replicas 2, got 3",
        ),
        ({"bounds": {"Ranker": {}}}, "bounds"),
        ({"shares": {"main": 0.7, "ranker": 0.7}}, "must add up to at most 1, got 1.4"),
        ({"policy": {"kind": "magic"}}, "kind"),
        ({"p99_ms": 0}, "p99_ms"),
        ({"limits": {"up_cooldown_s": 5}}, "target_ongoing, which has its own delays and factors"),
    ],
)
def test_rejects_contradictory_configuration(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": {"reranker": {}}}, "unknown unit or pool, got reranker; use one of"),
        ({"shares": {"ranker@gpu": 0.5}}, "unknown unit, got ranker@gpu"),
        ({"bounds": {"ranker": {"min_replicas": 2000}}}, "got 2000; raise max_replicas"),
    ],
)
def test_rejects_configuration_that_does_not_fit_the_pipeline(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        config(**changes).applied_to(POOLS)


def test_policy_decides_for_every_unit_in_every_pool() -> None:
    policy = make_policy(config(), POOLS)
    busy = observed(main_cpu=seen(1), ranker_cpu=seen(1), ranker_gpu=seen(0))
    assert policy.decide(0, busy, policy.start()).replicas == {INGRESS: 1, CPU: 1, GPU: 0}
