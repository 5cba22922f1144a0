"""The scaler and its guard, with test policies and an artificial clock."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig

from autoscale.policies.base import Decision, Observation
from autoscale.spec import Key
from services.app import PipelineArgs, replicas_options
from services.autoscaling import serve_policy
from services.autoscaling.kv_store import KvStore
from services.autoscaling.scaler import Scaler, unit_scaler
from services.autoscaling.serve_options import serve_options
from services.autoscaling.serve_policy import PipelinePolicy, UnitPolicy, policy_arguments
from services.autoscaling.spec import lowered
from services.config.loading import validated
from services.config.pipeline import PipelineConfig
from services.config.placement import RouterConfig, all_placements, placements
from services.deployment.serve_config import serve_config
from tests.pipelines import SPLIT, merged, pipeline_document
from tests.services.autoscaling.keys import MemoryKeys
from tests.services.autoscaling.test_observations import Seen, stats_of

SCALING: dict[str, Any] = {
    "autoscaling": {
        "policy": {"kind": "target_ongoing", "upscale_delay_s": 0, "downscale_delay_s": 0},
        "p99_ms": 100,
        "decision_interval_s": 5,
        "bounds": {"main": {"max_replicas": 8}, "scorer": {"max_replicas": 9}},
    }
}


def config_of(*changes: Mapping[str, Any]) -> PipelineConfig:
    document: dict[str, Any] = pipeline_document()
    for change in (SPLIT, SCALING, *changes):
        document = merged(document, change)
    return validated(document, "test")


def reported(target: int, ongoing: float = 0.0, now_s: float = 100.0) -> Seen:
    seen = Seen(target, target, ongoing, current_time=now_s)
    seen.tell("a", now_s - 2, stats_of(0))
    seen.tell("a", now_s - 1, stats_of(100))
    return seen


@dataclass
class Counting:
    """A policy that requests one more replica each time, or raises the given error."""

    keys: tuple[Key, ...]
    error: BaseException | None = None
    seen: list[Observation] = field(default_factory=list)
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def start(self) -> int:
        return 1

    def decide(self, now_s: float, observation: Observation, state: int) -> Decision[int]:
        self.seen.append(observation)
        if self.error is not None:
            raise self.error
        reasons = {key: f"{key} {state} -> {state + 1}: because" for key in self.keys}
        replicas = {key: state + 1 for key in self.keys}
        return Decision(replicas, reasons, state + 1, weights=self.weights)


def scaler_of(config: PipelineConfig) -> tuple[Scaler[int], Counting]:
    spec = lowered(config, {})
    policy = Counting(tuple(spec.keys()))
    placed = {placement.deployment: placement for placement in all_placements(config)}
    return Scaler(policy, spec, placed), policy


def test_decides_every_interval_and_returns_current_targets_in_between() -> None:
    scaler, policy = scaler_of(config_of())
    contexts = {"main": reported(1), "scorer": reported(1)}
    assert scaler.targets(contexts, 100.0) == {"main": 2, "scorer": 2}
    assert scaler.targets({"main": reported(7), "scorer": reported(2)}, 104.9) == {"main": 7, "scorer": 2}
    assert len(policy.seen) == 1
    assert scaler.targets(contexts, 105.0) == {"main": 3, "scorer": 3}
    assert policy.seen[0].units[Key("main", "local")].arriving_requests_per_s == 100


@pytest.fixture
def log_records(monkeypatch: pytest.MonkeyPatch) -> list[logging.LogRecord]:
    """The records of Serve's logger. Ray does not pass them to the root logger."""
    records: list[logging.LogRecord] = []
    logger = logging.getLogger("ray.serve")
    monkeypatch.setattr(logger, "handle", records.append)
    monkeypatch.setattr(logger, "isEnabledFor", lambda _level: True)
    return records


def test_logs_decision_as_one_line_with_reason_and_numbers(log_records: list[logging.LogRecord]) -> None:
    scaler, _ = scaler_of(config_of())
    scaler.targets({"main": reported(1), "scorer": reported(2)}, 100.0)
    (record,) = log_records  # the target of the scorer is unchanged
    assert record.getMessage() == "main@local 1 -> 2: because"
    assert (record.__dict__["unit"], record.__dict__["replicas_after"]) == ("main", 2)


def test_policy_error_is_raised_once_per_interval() -> None:
    scaler, policy = scaler_of(config_of())
    policy.error = ValueError("no such season")
    with pytest.raises(ValueError, match="no such season"):
        scaler.targets({"main": reported(1), "scorer": reported(1)}, 100.0)
    assert scaler.targets({"main": reported(4), "scorer": reported(4)}, 101.0) == {"main": 4, "scorer": 4}
    policy.error = None
    assert scaler.targets({"main": reported(4), "scorer": reported(4)}, 105.0) == {"main": 2, "scorer": 2}


def contexts_of(targets: Mapping[str, int], ongoing: float, now_s: float = 100.0) -> dict[DeploymentID, Seen]:
    return {
        DeploymentID(name=name, app_name="small"): reported(target, ongoing, now_s)
        for name, target in targets.items()
    }


def by_name(targets: Mapping[DeploymentID, int]) -> dict[str, int]:
    return {each.name: number for each, number in targets.items()}


def test_application_policy_returns_targets_by_serve_ids_and_a_state() -> None:
    policy = PipelinePolicy(**policy_arguments(config_of(), {}), keys=MemoryKeys())
    targets, state = policy(contexts_of({"main": 2, "scorer": 2}, ongoing=10.0))
    assert by_name(targets) == {"main": 5, "scorer": 5}
    assert state == {}


def test_keeps_targets_for_any_input_from_serve() -> None:
    policy = PipelinePolicy(**policy_arguments(config_of(), {}), keys=MemoryKeys())
    contexts = contexts_of({"main": 2, "scorer": 3}, ongoing=10.0)
    for broken in (float("nan"), float("inf"), -1.0, None, "many"):
        for context in contexts.values():
            context.total_num_requests = broken  # type: ignore[assignment]
            context.current_time += 10
        assert by_name(policy(contexts)[0]) == {"main": 2, "scorer": 3}
    alone = dict(list(contexts.items())[:1])
    assert by_name(policy(alone)[0]) == {"main": 2}
    assert policy({}) == ({}, {})


class Store(KvStore):
    """Keeps values in this process and writes them at once."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self.values.get(name)

    def post(self, name: str, value: bytes) -> None:
        self.values[name] = value


def test_restarted_scaler_continues_with_its_state_only_for_the_same_policy() -> None:
    config, store = config_of(), Store()
    spec = lowered(config, {})
    placed = {placement.deployment: placement for placement in all_placements(config)}
    policy = Counting(tuple(spec.keys()))
    contexts = {"main": reported(1), "scorer": reported(1)}
    assert Scaler(policy, spec, placed, store, b"a").targets(contexts, 100.0)["main"] == 2
    assert Scaler(policy, spec, placed, store, b"a").targets(contexts, 101.0)["main"] == 3
    assert Scaler(policy, spec, placed, store, b"b").targets(contexts, 102.0)["main"] == 2
    store.values["policy-state"] = b"no pickle"
    assert Scaler(policy, spec, placed, store, b"b").targets(contexts, 103.0)["main"] == 2


TWO_POOLS: dict[str, Any] = {
    "pools": {"one": {"cpus": 4, "memory_gib": 8}, "two": {"cpus": 4, "memory_gib": 8}},
    "units": {"scorer": {"pools": {"one": {}, "two": {}}}},
}


@pytest.mark.parametrize("decided", [{"one": 0.9, "two": 0.1}, {}])
def test_pool_weights_of_the_policy_are_stored_and_replace_those_of_an_earlier_one(
    decided: dict[str, float],
) -> None:
    config, store = config_of(TWO_POOLS), Store()
    store.post("weights/scorer", b'{"one": 1.0}')
    contexts = {"main": reported(1), "scorer@one": reported(1), "scorer@two": reported(3)}
    spec, placed = lowered(config, {}), {each.deployment: each for each in all_placements(config)}
    policy = Counting(tuple(spec.keys()), weights={"scorer": decided} if decided else {})
    Scaler(policy, spec, placed, store).targets(contexts, 100.0)
    assert json.loads(store.values["weights/scorer"]) == decided


@pytest.mark.parametrize(
    ("placed", "weights"),
    [
        ({}, {"one": 1, "two": 1}),
        ({"one": {"weight": 5}}, {"one": 5, "two": 1}),
        ({"one": {"replicas": 0}, "two": {"replicas": 0}}, {"one": 1, "two": 1}),
    ],
)
def test_configured_pool_weights_are_those_of_the_yaml_or_else_the_replicas(
    placed: dict[str, Any], weights: dict[str, float]
) -> None:
    config = config_of(TWO_POOLS, {"units": {"scorer": {"pools": placed}}})
    assert RouterConfig.from_placements(placements(config, "scorer")).weights == weights


@pytest.mark.parametrize("error", [ValueError("bad"), KeyError("key"), SystemExit(3), RecursionError()])
def test_keeps_targets_if_the_policy_raises(error: BaseException) -> None:
    scaler, counting = scaler_of(config_of())
    policy = UnitPolicy(**policy_arguments(config_of(), {}), deployment="main")
    policy._guarded._scaler = scaler
    counting.error = error
    assert policy(reported(4)) == (4, {})


def test_keeps_targets_and_logs_the_error_if_the_scaler_cannot_be_made(
    log_records: list[logging.LogRecord],
) -> None:
    policy = PipelinePolicy(config={"name": "not a pipeline"}, profiles=[])
    assert "autoscaling cannot start" in log_records[0].getMessage()
    assert by_name(policy(contexts_of({"main": 3}, 10.0))[0]) == {"main": 3}


def test_deployment_policy_scales_only_its_deployment() -> None:
    policy = UnitPolicy(**policy_arguments(config_of(), {}), deployment="scorer")
    assert policy(reported(2, ongoing=10.0)) == (5, {})
    assert policy(reported(2, ongoing=90.0, now_s=106.0)) == (9, {})  # max_replicas
    alone = unit_scaler(config_of({"autoscaling": {"shares": {"scorer": 0.7}}}), {}, "scorer")
    assert alone._spec.p99_ms == pytest.approx(70)


def test_serve_can_pickle_the_policies_by_value() -> None:
    cloudpickle.register_pickle_by_value(serve_policy)  # type: ignore[no-untyped-call]
    try:
        pickled = cloudpickle.dumps(UnitPolicy)  # type: ignore[no-untyped-call]
    finally:
        cloudpickle.unregister_pickle_by_value(serve_policy)  # type: ignore[no-untyped-call]
    again = cloudpickle.loads(pickled)(**policy_arguments(config_of(), {}), deployment="main")
    assert again(reported(2, ongoing=10.0)) == (5, {})


def test_serve_options_have_no_delay_and_no_smoothing() -> None:
    config = config_of({"autoscaling": {"bounds": {"main": {"min_replicas": 2}}}})
    serve = serve_options(config, lowered(config, {}), Key("main", "local"), None)
    assert isinstance(serve, AutoscalingConfig)
    assert (serve.min_replicas, serve.initial_replicas, serve.max_replicas) == (2, 2, 8)
    assert (serve.upscale_delay_s, serve.downscale_delay_s, serve.downscale_to_zero_delay_s) == (0, 0, 0)
    assert (serve.get_upscaling_factor(), serve.get_downscaling_factor()) == (1, 1)
    assert (serve.metrics_interval_s, serve.look_back_period_s) == (1.0, 30.0)


def test_each_deployment_has_its_own_policy_without_a_serve_config() -> None:
    config = config_of()
    scorer = all_placements(config)[1]
    own = replicas_options(scorer, PipelineArgs(config=config, home="/nowhere"))["autoscaling_config"]
    policy = own.policy.get_policy()(**own.policy.policy_kwargs)
    assert policy(reported(2, ongoing=10.0)) == (5, {})
    with_application_policy = replicas_options(
        scorer, PipelineArgs(config=config, home="/nowhere", policy_beside=True)
    )
    assert with_application_policy["autoscaling_config"].policy.is_default_policy_function()
    unscaled = PipelineArgs(config=config.model_copy(update={"autoscaling": None}), home="/nowhere")
    assert replicas_options(scorer, unscaled) == {"num_replicas": 1}


def test_serve_config_names_the_policy_and_its_arguments() -> None:
    application = serve_config(config_of(), Path("/nowhere"))["applications"][0]
    assert application["args"]["policy_beside"] is True
    policy = application["autoscaling_policy"]
    assert policy["policy_function"] == "services.autoscaling.serve_policy:PipelinePolicy"
    assert policy["policy_kwargs"]["profiles"] == []
