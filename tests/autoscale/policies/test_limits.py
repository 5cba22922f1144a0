import dataclasses
import json
import math
import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.config import AutoscalingConfig
from autoscale.policies.base import Decision, Observation, UnitObservation
from autoscale.policies.limits import Limited, LimitsConfig
from autoscale.spec import Key, PipelineSpec
from tests.autoscale.policies.pipelines import ALONE, CPU, GPU, INGRESS, POOLS, observed, seen


class Wanting:
    """A policy that always wants the same replicas and the same split over pools."""

    def __init__(self, replicas: Mapping[Key, int], weights: Mapping[str, float] | None = None) -> None:
        self.replicas = replicas
        self.weights = {} if weights is None else {"ranker": weights}

    def start(self) -> None:
        """Return None, because the policy has no state."""

    def decide(self, now_s: float, observation: Observation, state: None) -> Decision[None]:
        """Return the replicas that were passed to the constructor."""
        reasons = {key: f"{key} wants {n}" for key, n in self.replicas.items()}
        return Decision(self.replicas, reasons, state, weights=self.weights)


def bounded(spec: PipelineSpec, **bounds: dict[str, int]) -> PipelineSpec:
    document = {
        "policy": {"kind": "target_ongoing"},
        "p99_ms": 80,
        "bounds": {name.replace("_", "@"): b for name, b in bounds.items()},
    }
    return AutoscalingConfig.model_validate(document).applied_to(spec)


def asked(wanted: int, target: int, *, now_s: float = 100.0, **limits: float) -> int:
    policy = Limited(Wanting({CPU: wanted}), bounded(ALONE), LimitsConfig(**limits))
    decision = policy.decide(now_s, observed(ranker_cpu=seen(target, 100)), policy.start())
    return decision.replicas[CPU]


@pytest.mark.parametrize(
    ("wanted", "target", "expected"),
    [(100, 2, 20), (3, 2, 3), (1, 9, 5), (1, 2, 1), (0, 1, 1), (5000, 900, 1000), (7, 0, 7), (500, 0, 10)],
)
def test_step_is_limited_by_its_ratio_and_by_bounds(wanted: int, target: int, expected: int) -> None:
    assert asked(wanted, target) == expected


def test_no_step_down_before_the_cool_down_has_passed() -> None:
    spec, limits = bounded(ALONE), LimitsConfig(down_cooldown_s=30)
    state, target, asked_for = Limited(Wanting({CPU: 4}), spec, limits).start(), 2, []
    for now_s in range(0, 50, 5):
        wants = Wanting({CPU: 4 if now_s < 5 else 1})
        decision = Limited(wants, spec, limits).decide(now_s, observed(ranker_cpu=seen(target, 100)), state)
        state, target = decision.state, decision.replicas[CPU]
        asked_for.append(target)
        if now_s == 10:
            assert decision.reasons[CPU] == (
                "ranker@cpu 4 -> 4, because it scaled 10 s ago; the policy wanted: ranker@cpu wants 1"
            )
    assert asked_for == [4, 4, 4, 4, 4, 4, 2, 2, 2, 2]


def test_unit_scales_to_zero_after_its_idle_time_and_wakes_for_work() -> None:
    policy = Limited(Wanting({CPU: 0}), bounded(ALONE, ranker={"min_replicas": 0}), LimitsConfig())
    state, target, when_s = policy.start(), 1, []
    for now_s in range(0, 400, 5):
        decision = policy.decide(now_s, observed(ranker_cpu=seen(target, 100 if now_s < 20 else 0)), state)
        state, target = decision.state, decision.replicas[CPU]
        when_s += [now_s] if target == 0 else []
    assert when_s[0] == 15 + 300
    assert policy.decide(400, observed(ranker_cpu=seen(0, waiting=200)), state).replicas == {CPU: 1}


def test_one_pool_scales_to_zero_at_once_while_another_has_replicas() -> None:
    spec = bounded(POOLS, ranker={"min_replicas": 0})
    policy = Limited(Wanting({INGRESS: 1, CPU: 0, GPU: 2}), spec, LimitsConfig())
    busy = observed(main_cpu=seen(1, 100), ranker_cpu=seen(1, 50), ranker_gpu=seen(1, 50))
    assert policy.decide(0, busy, policy.start()).replicas == {INGRESS: 1, CPU: 0, GPU: 2}


@pytest.mark.parametrize(
    "observation",
    [
        Observation({}),
        Observation({CPU: seen(4, math.nan)}),
        Observation({CPU: dataclasses.replace(seen(4), waiting_candidates=-1)}),
        Observation({CPU: dataclasses.replace(seen(4), ongoing_requests=math.inf)}),
        dataclasses.replace(observed(ranker_cpu=seen(4)), age_s=61),
        dataclasses.replace(observed(ranker_cpu=seen(4)), age_s=math.nan),
    ],
)
def test_without_usable_metrics_the_targets_stay(observation: Observation) -> None:
    policy = Limited(Wanting({CPU: 4}), bounded(ALONE), LimitsConfig())
    state = policy.decide(0, observed(ranker_cpu=seen(2, 100)), policy.start()).state
    held = Limited(Wanting({CPU: 9}), bounded(ALONE), LimitsConfig()).decide(5, observation, state)
    assert held.replicas == {CPU: 4}
    assert held.reasons[CPU].startswith("ranker@cpu stays at 4: ")


def test_without_usable_metrics_the_split_over_pools_stays() -> None:
    wants = Wanting({INGRESS: 1, CPU: 1, GPU: 2}, {"cpu": 0.1, "gpu": 0.9})
    policy = Limited(wants, bounded(POOLS), LimitsConfig())
    observation = observed(main_cpu=seen(1), ranker_cpu=seen(1), ranker_gpu=seen(2))
    state = policy.decide(0, observation, policy.start()).state
    held = policy.decide(5, dataclasses.replace(observation, age_s=61), state)
    assert held.weights == {"ranker": {"cpu": 0.1, "gpu": 0.9}}


def test_state_survives_pickle_and_json() -> None:
    policy = Limited(Wanting({CPU: 4}), bounded(ALONE), LimitsConfig())
    state = policy.decide(0, observed(ranker_cpu=seen(2, 100)), policy.start()).state
    assert pickle.loads(pickle.dumps(state)) == state
    assert json.loads(json.dumps(dataclasses.asdict(state)))["targets"] == {"ranker@cpu": 4}


OBSERVATIONS = st.builds(
    UnitObservation,
    ready=st.integers(0, 50),
    target=st.integers(0, 50),
    arriving_requests_per_s=st.floats(),
    waiting_candidates=st.floats(),
)


@given(st.integers(-5, 5000), OBSERVATIONS, st.floats(0, 1e12))
def test_bounds_hold_for_any_decision_and_observation(
    wanted: int, unit: UnitObservation, now_s: float
) -> None:
    spec = bounded(ALONE, ranker_cpu={"min_replicas": 2, "max_replicas": 20})
    policy = Limited(Wanting({CPU: wanted}), spec, LimitsConfig())
    decision = policy.decide(now_s, Observation({CPU: unit}), policy.start())
    assert 2 <= decision.replicas[CPU] <= 20
