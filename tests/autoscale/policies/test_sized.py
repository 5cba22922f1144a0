import dataclasses
import functools
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.capacity.sizing import Sizing
from autoscale.config import AutoscalingConfig, make_policy
from autoscale.policies.base import Decision, Observation, Policy, UnitObservation
from autoscale.spec import Key, PipelineSpec
from tests.autoscale.policies.pipelines import ALONE, CHAIN, CPU, GPU, INGRESS, POOLS, observed, seen

KINDS = ["slo", "predictive", "coupled", "cheapest"]
NO_FORECAST: dict[str, Any] = {"forecast": None}


def config(kind: str, **options: Any) -> AutoscalingConfig:
    limits = options.pop("limits", {})
    bounds = options.pop("bounds", {})
    document = {"policy": {"kind": kind, **options}, "p99_ms": 80, "limits": limits, "bounds": bounds}
    return AutoscalingConfig.model_validate(document)


class Cluster:
    """A fake cluster. Replicas are ready ``startup_s`` after their request, and the policy runs every 5 s."""

    def __init__(
        self, policy: Policy[Any], spec: PipelineSpec, replicas: int = 1, startup_s: float = 10.0
    ) -> None:
        self.policy, self.keys, self.startup_s = policy, list(spec.keys()), startup_s
        self.state: Any = policy.start()
        self.now_s = 0.0
        self.ready_s = {
            key: [-math.inf] * (replicas if i < len(spec.units) else 0) for i, key in enumerate(self.keys)
        }
        self.last: Decision[Any] | None = None

    def step(self, loads: dict[Key, float], waiting: float = 0.0) -> dict[Key, int]:
        """Decide once for these candidates/s, and let 5 s pass."""
        units = {
            key: seen(
                len(starts),
                loads.get(key, 0.0),
                ready=sum(start + self.startup_s <= self.now_s for start in starts),
                waiting=waiting,
            )
            for key, starts in self.ready_s.items()
        }
        self.last = self.policy.decide(self.now_s, Observation(units), self.state)
        self.state = self.last.state
        for key, number in self.last.replicas.items():
            starts = self.ready_s[key]
            self.ready_s[key] = starts[:number] + [self.now_s] * (number - len(starts))
        self.now_s += 5
        return dict(self.last.replicas)

    def run(self, load: float | Callable[[float], float], seconds: float, key: Key = CPU) -> list[int]:
        """Decide for a load that may change with time, and return the requested replicas."""
        until_s, asked = self.now_s + seconds, []
        while self.now_s < until_s:
            asked.append(self.step({key: load(self.now_s) if callable(load) else load})[key])
        return asked


SPECS = {"alone": ALONE, "chain": CHAIN, "pools": POOLS}


@functools.cache
def per_s_of(name: str, key: Key) -> float:
    spec = config("slo").applied_to(SPECS[name])
    return Sizing(spec, aim=0.9, max_load=0.85).capacity(key, 200).per_s


def replica_per_s(spec: PipelineSpec, key: Key) -> float:
    return per_s_of(next(name for name, known in SPECS.items() if known is spec), key)


def alone(kind: str = "slo", replicas: int = 1, **options: Any) -> Cluster:
    return Cluster(make_policy(config(kind, **options), ALONE), ALONE, replicas)


def test_unit_has_enough_replicas_for_its_share_of_the_objective() -> None:
    cluster, per_s = alone(), replica_per_s(ALONE, CPU)
    assert cluster.run(3.5 * per_s, 60)[-1] == 4
    assert cluster.last is not None
    assert cluster.last.reasons[CPU] == (
        f"ranker@cpu stays at 4: {3.5 * per_s / 4:.0f} candidates/s per replica arrive; "
        f"a replica serves {per_s:.0f} with p99 under 71 ms"
    )


def test_burst_scales_up_at_once_and_prevents_steps_down() -> None:
    cluster, per_s = alone(down_window_s=0, limits={"down_cooldown_s": 0}), replica_per_s(ALONE, CPU)
    cluster.run(0.9 * per_s, 120)
    during = cluster.run(5.5 * per_s, 10)
    assert during[0] >= 4
    assert during[1] == 6
    assert cluster.last is not None
    assert "arrive in a burst" in cluster.last.reasons[CPU]
    after = cluster.run(0.5 * per_s, 120)
    assert after[:10] == [6] * 10
    assert after[-1] == 1


def test_step_down_waits_until_the_highest_recent_load_has_expired() -> None:
    cluster, per_s = alone(limits={"down_cooldown_s": 0}), replica_per_s(ALONE, CPU)
    cluster.run(3.5 * per_s, 120)
    asked = cluster.run(1.5 * per_s, 300)
    first = asked.index(2) * 5
    assert 120 <= first <= 180
    assert asked[-1] == 2


def test_replica_is_removed_only_if_the_others_have_a_reserve() -> None:
    cluster, per_s = alone(replicas=4), replica_per_s(ALONE, CPU)
    assert cluster.run(2.85 * per_s, 600)[-1] == 4
    assert cluster.run(2.6 * per_s, 600)[-1] == 3


def test_starting_replicas_are_not_requested_again() -> None:
    cluster = Cluster(make_policy(config("slo"), ALONE), ALONE, startup_s=60)
    per_s = replica_per_s(ALONE, CPU)
    cluster.run(0.8 * per_s, 60)
    asked, waiting = [], 0.0
    for _ in range(12):
        waiting += 5 * 3 * per_s
        asked.append(cluster.step({CPU: 4.5 * per_s}, waiting=min(waiting, 2.25 * per_s))[CPU])
    assert max(asked) == 5
    assert asked[-1] == 5


def test_backlog_adds_replicas() -> None:
    calm, pressed = alone(replicas=2), alone(replicas=2)
    per_s = replica_per_s(ALONE, CPU)
    load = {CPU: 1.9 * per_s}
    assert calm.step(load)[CPU] == 2
    assert pressed.step(load, waiting=60 * per_s)[CPU] > 2
    assert pressed.last is not None
    assert "arrive or come from a backlog of" in pressed.last.reasons[CPU]


def test_unit_wakes_from_zero_for_load() -> None:
    cluster = alone(bounds={"ranker": {"min_replicas": 0}}, limits={"to_zero_after_s": 100})
    assert cluster.run(0, 400)[-1] == 0
    assert cluster.run(0, 60)[-1] == 0
    assert cluster.step({CPU: 100.0})[CPU] == 1
    assert cluster.run(100.0, 300)[-1] == 1


def test_reason_says_that_the_objective_is_out_of_reach() -> None:
    tight = dataclasses.replace(ALONE, p99_ms=4)
    policy = make_policy(AutoscalingConfig.model_validate({"policy": {"kind": "slo"}, "p99_ms": 4}), tight)
    decision = policy.decide(0, observed(ranker_cpu=seen(1, 10_000)), policy.start())
    assert "although the p99 of one request alone is above 3 ms" in decision.reasons[CPU]


def daily(time_s: float) -> float:
    """Return a load that is ten times as high from 9:00 to 18:00 as at other times."""
    per_s = replica_per_s(ALONE, CPU)
    hour = time_s / 3600 % 24
    return per_s * (8.5 if 9 <= hour < 18 else 0.85)


def test_predictive_scales_up_before_the_second_morning() -> None:
    spec = ALONE
    cluster = Cluster(make_policy(config("predictive", forecast={"bin_s": 300}), spec), spec)
    nine_s = 86_400 + 9 * 3600
    for hour in range(8, 11):  # the relevant hours of the first day
        cluster.now_s = hour * 3600.0
        cluster.run(daily, 3600)
    cluster.now_s = nine_s - 7200.0
    before = cluster.run(daily, 7200)
    assert before[-60] == 1
    assert before[-1] >= 4
    assert cluster.last is not None
    assert "are forecast within 75 s" in cluster.last.reasons[CPU]


def test_coupled_sizes_the_ranker_by_the_load_at_the_ingress() -> None:
    per_s = replica_per_s(CHAIN, CPU)
    for kind, expected in (("slo", 1), ("coupled", 6)):
        options = NO_FORECAST if kind == "coupled" else {}
        cluster = Cluster(make_policy(config(kind, **options), CHAIN), CHAIN)
        for _ in range(6):
            cluster.step({INGRESS: 0.8 * per_s, CPU: 0.8 * per_s})
        # The wave has not passed the ingress yet.
        for _ in range(2):
            asked = cluster.step({INGRESS: 5.5 * per_s, CPU: 0.8 * per_s})
        assert asked[CPU] == expected, kind


def test_coupled_learns_that_a_cache_reduces_the_load_of_the_ranker() -> None:
    per_s = replica_per_s(CHAIN, CPU)
    cluster = Cluster(make_policy(config("coupled", **NO_FORECAST), CHAIN), CHAIN)
    for _ in range(400):
        asked = cluster.step({INGRESS: 6 * per_s, CPU: 1.5 * per_s})
    assert asked[CPU] == 2


def test_cheapest_moves_a_unit_between_pools_without_losing_capacity() -> None:
    policy = make_policy(
        config("cheapest", bounds={"ranker": {"min_replicas": 0}}, saving=0.03, **NO_FORECAST), POOLS
    )
    on_cpu, on_gpu = replica_per_s(POOLS, CPU), replica_per_s(POOLS, GPU)
    cluster = Cluster(policy, POOLS, startup_s=20)
    little, much = 1.5 * on_cpu, 3.6 * on_gpu
    for _ in range(20):
        cluster.step({INGRESS: little, CPU: little})
    assert cluster.last is not None
    assert cluster.last.replicas == {INGRESS: 1, CPU: 2, GPU: 0}
    assert cluster.last.weights == {"ranker": {"cpu": 1.0, "gpu": 0.0}}
    for _ in range(12):
        cluster.step({INGRESS: much, CPU: much / 2, GPU: much / 2})
        able = sum(
            min(cluster.last.replicas[key], sum(s + 20 <= cluster.now_s - 5 for s in cluster.ready_s[key]))
            * per_s
            for key, per_s in ((CPU, on_cpu), (GPU, on_gpu))
        )
        assert able >= 1.5 * on_cpu
    for _ in range(40):
        cluster.step({INGRESS: much, GPU: much})
    assert cluster.last.replicas[GPU] == 4
    assert cluster.last.replicas[CPU] == 0
    assert cluster.last.weights == {"ranker": {"cpu": 0.0, "gpu": 1.0}}


def unit_observations() -> st.SearchStrategy[UnitObservation]:
    return st.builds(
        lambda target, lacking, requests, size, waiting: UnitObservation(
            ready=max(0, target - lacking),
            target=target,
            arriving_requests_per_s=requests,
            arriving_candidates_per_s=requests * size,
            served_candidates_per_s=requests * size * 0.9,
            waiting_candidates=waiting,
        ),
        st.integers(0, 60),
        st.integers(0, 5),
        st.floats(0, 1e5),
        st.sampled_from([1.0, 200.0, 3000.0]),
        st.floats(0, 1e7),
    )


OBSERVATIONS = st.builds(
    lambda main, cpu, gpu: Observation({INGRESS: main, CPU: cpu, GPU: gpu}),
    unit_observations(),
    unit_observations(),
    unit_observations(),
)
POLICIES = {
    kind: make_policy(config(kind, bounds={"ranker@gpu": {"max_replicas": 7}}), POOLS) for kind in KINDS
}


def after(observation: Observation, decision: Decision[Any]) -> Observation:
    return Observation(
        {
            key: dataclasses.replace(unit, target=decision.replicas[key])
            for key, unit in observation.units.items()
        }
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 200), OBSERVATIONS), min_size=1, max_size=8))
def test_decisions_on_any_series_respect_bounds_and_are_reproducible(
    kind: str, series: list[tuple[float, Observation]]
) -> None:
    policy = POLICIES[kind]
    state, now_s = policy.start(), 0.0
    for pause_s, observation in series:
        now_s += pause_s
        decision = policy.decide(now_s, observation, state)
        assert decision == policy.decide(now_s, observation, pickle.loads(pickle.dumps(state)))
        assert set(decision.replicas) == set(decision.reasons) == {INGRESS, CPU, GPU}
        assert 1 <= decision.replicas[INGRESS] <= 1000
        assert 1 <= decision.replicas[CPU] <= 1000
        assert 0 <= decision.replicas[GPU] <= 7
        for split in decision.weights.values():
            assert sum(split.values()) == pytest.approx(1)
        state = decision.state
        json.dumps(dataclasses.asdict(state), allow_nan=False)


@pytest.mark.parametrize("kind", KINDS[:3])
@settings(max_examples=60, deadline=None)
@given(st.floats(1, 1e6), st.floats(1, 5), st.integers(1, 60), st.integers(0, 60))
def test_more_load_never_requests_fewer_replicas(
    kind: str, load: float, more: float, target: int, ready: int
) -> None:
    policy, numbers = POLICIES[kind], []
    for candidates_per_s in (load, load * more):
        unit = seen(target, candidates_per_s, ready=min(ready, target))
        busy = Observation({INGRESS: unit, CPU: unit, GPU: unit})
        numbers.append(policy.decide(0, busy, policy.start()).replicas)
    assert all(numbers[0][key] <= numbers[1][key] for key in numbers[0])


@pytest.mark.parametrize("kind", KINDS[:3])
@settings(max_examples=30, deadline=None)
@given(st.floats(1, 3e5), st.integers(1, 60))
def test_step_down_leaves_enough_capacity_and_repetition_changes_nothing(
    kind: str, load: float, target: int
) -> None:
    policy = make_policy(config(kind, limits={"down_cooldown_s": 0, "max_up_ratio": 1000}), ALONE)
    state = policy.start()
    for now_s in range(0, 400, 20):
        observation = observed(ranker_cpu=seen(target, load))
        decision = policy.decide(now_s, observation, state)
        again = policy.decide(now_s, after(observation, decision), decision.state)
        assert again.replicas == decision.replicas
        state, target = decision.state, decision.replicas[CPU]
        assert target * replica_per_s(ALONE, CPU) >= min(load, 1000 * replica_per_s(ALONE, CPU)) * 0.999
