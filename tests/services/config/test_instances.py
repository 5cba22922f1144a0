"""Instances: how many model threads a unit gets, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from services.config.instances import model_threads, refuse_instances
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.check import check_artifacts
from services.errors import ConfigError
from tests.pipelines import SPLIT, WITH_RERANKER, make_pipeline, merged, pipeline_document


def config_of(changes: dict[str, Any]) -> PipelineConfig:
    return PipelineConfig.model_validate(merged(pipeline_document(), changes))


def with_runtime(instances: int, cpus: float, **runtime: Any) -> PipelineConfig:
    model = {"instances": instances, "runtime": {"kind": "onnx", **runtime}}
    return config_of({"models": {"ranker": model}, "units": {"main": {"cpus": cpus}}})


def test_unit_has_as_many_model_threads_as_its_model_with_most_instances() -> None:
    assert model_threads(config_of({}), "main") == 1
    both = config_of(
        merged(WITH_RERANKER, {"models": {"ranker": {"instances": 2}, "reranker": {"instances": 3}}})
    )
    assert model_threads(both, "main") == 3
    split = config_of(merged(SPLIT, {"models": {"ranker": {"instances": 4}}}))
    assert (model_threads(split, "main"), model_threads(split, "scorer")) == (1, 4)


def test_model_that_no_stage_uses_needs_no_cpus() -> None:
    config = config_of({"models": {"unused": {"artifact": "model", "instances": 9}}})
    assert model_threads(config, "main") == 1
    refuse_instances(config, "main")


@pytest.mark.parametrize(
    "config",
    [
        with_runtime(1, 0.1, threads=8),
        with_runtime(2, 4, threads=2),
        with_runtime(4, 4, kind="torch"),
        with_runtime(4, 4, kind="torchscript"),
        with_runtime(2, 2, kind="openvino", threads=2, streams=2),
        with_runtime(1, 1, kind="deepspeed", shards=2),
    ],
    ids=lambda config: config.models["ranker"].runtime.kind,
)
def test_instances_that_fit_are_allowed(config: PipelineConfig) -> None:
    refuse_instances(config, "main")


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (
            with_runtime(2, 3, threads=2),
            "2 instances of 2 threads need 4 CPUs, got units.main.cpus: 3; raise it to 4",
        ),
        (
            with_runtime(3, 3, kind="openvino", threads=2, streams=2),
            "openvino runs at most 2 batches of a model at once",
        ),
        (with_runtime(2, 2, kind="openvino", threads=2), "set runtime.streams and runtime.threads"),
        (with_runtime(2, 2, kind="torch", mode="aot"), "torch runs at most 1 .* set runtime.mode: eager"),
        (with_runtime(2, 2, kind="deepspeed", shards=2), "deepspeed runs at most 1 .* use more replicas"),
        (with_runtime(2, 2, kind="accelerate"), "accelerate runs at most 1 .* use more replicas"),
    ],
)
def test_instances_that_do_not_fit_are_refused_with_the_remedy(config: PipelineConfig, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as raised:
        refuse_instances(config, "main")
    assert raised.value.field == "models.ranker.instances"


def test_cpus_of_a_pool_count_in_that_pool() -> None:
    pools = {"pools": {"small": {"cpus": 4, "memory_gib": 8}}}
    unit = {"units": {"main": {"cpus": 4, "pools": {"small": {"cpus": 1}}}}}
    config = config_of(merged(merged(pools, unit), {"models": {"ranker": {"instances": 2}}}))
    with pytest.raises(ConfigError, match=r"got units\.main\.pools\.small\.cpus: 1; raise it to 2"):
        refuse_instances(config, "main")


def test_check_reports_instances_without_cpus(tmp_path: Path) -> None:
    config = load_config(make_pipeline(tmp_path, {"models": {"ranker": {"instances": 2}}}))
    assert check_artifacts(config, tmp_path) == [
        "models.ranker.instances: 2 instances of 1 threads need 2 CPUs, got units.main.cpus: 0.5; raise it to 2, or "
        "lower instances"
    ]
