"""Shed demand and missed objectives: the cases that raise capacity, and the cases that do not."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from autoscale.capacity.sizing import Sizing
from autoscale.config import AutoscalingConfig, make_policy
from autoscale.policies.base import Observation, UnitObservation
from autoscale.spec import Key
from tests.autoscale.policies.pipelines import CHAIN, CPU, GPU, INGRESS, POOLS, seen

POLICY = {"kind": "coupled", "forecast": None}


def config(**options: Any) -> AutoscalingConfig:
    return AutoscalingConfig.model_validate({"policy": POLICY | options, "p99_ms": 80})


PER_S = Sizing(config().applied_to(CHAIN), aim=0.9, max_load=0.85).capacity(CPU, 200).per_s
"""Candidates/s for which the policy sizes a ranker."""
LOAD = 3.5 * PER_S


class Pipeline:
    """A fake cluster with a load, with shares of shed and missed requests, and with a policy that requests replicas.

    Every replica starts up in ``startup_s``.
    """

    def __init__(self, startup_s: float = 0.0, rankers: int = 4, **options: Any) -> None:
        self.policy = make_policy(config(**options), CHAIN)
        self.state: Any = self.policy.start()
        self.now_s, self.startup_s = 0.0, startup_s
        self.targets = {INGRESS: 2, CPU: rankers}
        self.ready_s = {key: [-1e9] * count for key, count in self.targets.items()}
        self.reason = ""

    def step(self, load: float = LOAD, fell: float = 0.0, missed: float = 0.0, reached: float = 0.0) -> int:
        """Decide once, and let 5 s pass.

        Args:
            load: candidates/s at the ingress.
            fell: share of requests that are shed.
            missed: share of requests that miss the objective.
            reached: share of requests that are shed after they reached the ranker.
        """
        ready = {
            key: sum(start + self.startup_s <= self.now_s for start in starts)
            for key, starts in self.ready_s.items()
        }
        units = {
            INGRESS: dataclasses.replace(
                seen(self.targets[INGRESS], load, ready=ready[INGRESS]),
                shed_requests_per_s=fell * load / 200,
                missed_requests_per_s=missed * load / 200,
            ),
            CPU: seen(self.targets[CPU], load * (1 - fell + reached), ready=ready[CPU]),
        }
        decision = self.policy.decide(self.now_s, Observation(units), self.state)
        self.state, self.reason = decision.state, decision.reasons[CPU]
        self.targets = dict(decision.replicas)
        for key, number in self.targets.items():
            starts = self.ready_s[key]
            self.ready_s[key] = starts[:number] + [self.now_s] * (number - len(starts))
        self.now_s += 5
        return self.targets[CPU]

    def run(self, seconds: float, step: Callable[[], int] | None = None, **shares: float) -> list[int]:
        """Decide every 5 s, and return the requested rankers."""
        return [step() if step is not None else self.step(**shares) for _ in range(int(seconds / 5))]


def test_requests_shed_before_the_ranker_count_as_its_demand() -> None:
    cluster = Pipeline()
    assert cluster.run(900, fell=0.3)[-1] == 4
    assert cluster.targets[CPU] * PER_S >= LOAD


def test_ranker_that_is_too_small_does_not_look_like_an_unused_one() -> None:
    cluster = Pipeline(rankers=2)
    cluster.run(600, fell=0.5)
    assert cluster.targets[CPU] == 4
    # With more rankers fewer requests are shed, but the load stays the same.
    assert cluster.run(600)[-1] == 4


def test_requests_shed_after_they_reached_the_ranker_count_once() -> None:
    cluster = Pipeline()
    assert set(cluster.run(600, fell=0.4, reached=0.4)) == {4}


def test_failing_ranker_keeps_the_replicas_for_its_load() -> None:
    # All requests are shed, but none of them for lack of time.
    cluster = Pipeline()
    assert set(cluster.run(3600, fell=1.0)) == {4}
    assert "added" not in cluster.reason


def test_lasting_misses_raise_capacity_in_steps_and_the_reason_says_so() -> None:
    cluster = Pipeline()
    cluster.run(60)
    asked = cluster.run(300, fell=0.2, missed=0.2)
    assert asked[5] == 4
    assert asked[-1] > 4
    assert asked == sorted(asked)
    assert "% added because 20.0% of the answers are degraded, refused or late)" in cluster.reason


def test_late_answers_raise_capacity_even_if_none_is_degraded() -> None:
    cluster = Pipeline()
    cluster.run(60)
    assert cluster.run(300, missed=0.05)[-1] > 4


def test_misses_within_the_objective_add_nothing() -> None:
    cluster = Pipeline()
    assert set(cluster.run(1800, missed=0.008)) == {4}


def test_lasting_misses_add_at_most_max_added() -> None:
    asked = Pipeline(max_added=0.5).run(6 * 3600, fell=0.9, missed=0.9)
    assert max(asked) == 6  # 1.5 x 3.5 replicas
    assert set(Pipeline(max_added=0).run(3600, fell=0.9, missed=0.9)) == {4}


def test_one_slow_start_does_not_move_the_target() -> None:
    cluster = Pipeline()
    cluster.run(120)
    asked = []
    for _ in range(20):  # every two minutes 6 s of late answers
        asked += cluster.run(5, fell=1.0, missed=1.0)
        asked += cluster.run(115)
    assert set(asked) == {4}


def test_misses_while_replicas_start_add_nothing() -> None:
    cluster = Pipeline(startup_s=120, rankers=1)
    asked = cluster.run(110, fell=0.7, missed=0.9)
    assert max(asked) == 4
    assert cluster.run(600)[-1] == 4


def test_unit_with_a_low_load_gets_no_addition() -> None:
    cluster = Pipeline(rankers=40, down_window_s=86_400)
    cluster.run(60)
    cluster.run(600, missed=0.5)
    assert not cluster.state.inner.misses.added


def test_addition_fades_without_misses() -> None:
    cluster = Pipeline()
    cluster.run(60)
    assert max(cluster.run(600, fell=0.2, missed=0.2)) >= 6
    asked = cluster.run(4 * 3600)
    assert asked[-1] == 4
    assert asked == sorted(asked, reverse=True)
    assert not cluster.state.inner.misses.added


def test_without_traffic_nothing_is_added() -> None:
    cluster = Pipeline(rankers=1)
    assert set(cluster.run(600, load=0.0)) == {1}
    assert set(cluster.run(600, load=0.0, missed=1.0)) == {1}


def test_misses_raise_a_single_replica() -> None:
    cluster = Pipeline(rankers=1)
    cluster.run(60, load=0.9 * PER_S)
    assert cluster.run(120, load=0.9 * PER_S, missed=0.3)[-1] == 2


def test_shed_requests_are_split_over_pools_like_arrivals() -> None:
    slo = AutoscalingConfig.model_validate({"policy": {"kind": "slo"}, "p99_ms": 80})
    policy = make_policy(slo, POOLS)
    per_s = {
        key: Sizing(slo.applied_to(POOLS), aim=0.9, max_load=0.85).capacity(key, 200).per_s
        for key in (CPU, GPU)
    }
    load = 8 * per_s[CPU]

    def units(fell: float) -> dict[Key, UnitObservation]:
        ingress = dataclasses.replace(seen(4, load), shed_requests_per_s=fell * load / 200)
        half = seen(8, load * (1 - fell) / 2)
        return {INGRESS: ingress, CPU: half, GPU: half}

    numbers = [policy.decide(0, Observation(units(fell)), policy.start()).replicas for fell in (0.0, 0.5)]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("calls", [1, 2, 32])
def test_ingress_is_sized_by_the_limit_of_its_calls(calls: int) -> None:
    spec = dataclasses.replace(
        CHAIN, units=(dataclasses.replace(CHAIN.units[0], max_calls_in_flight=calls), CHAIN.units[1])
    )
    policy = make_policy(config(), spec)
    load = 20 * PER_S
    units = {INGRESS: seen(1, load), CPU: seen(20, load)}
    decision = policy.decide(0, Observation(units), policy.start())
    for now_s in range(5, 300, 5):
        units = {INGRESS: seen(decision.replicas[INGRESS], load), CPU: seen(20, load)}
        decision = policy.decide(now_s, Observation(units), decision.state)
    capacity = Sizing(config().applied_to(spec), aim=0.9, max_load=0.85).capacity(INGRESS, 200)
    assert decision.replicas[INGRESS] == -(-load // capacity.per_s)
    assert (f"limited by {calls} calls in flight to ranker" in decision.reasons[INGRESS]) == (calls < 32)
