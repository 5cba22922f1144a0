"""The deployments of a pipeline's units."""

from typing import Any

import pytest

from autoscale.spec import Key
from services.config.loading import validated
from services.config.pipeline import PipelineConfig
from services.config.placement import all_placements, placement_of, placements
from services.errors import ConfigError
from tests.pipelines import SPLIT, merged, pipeline_document

POOLS: dict[str, Any] = {
    "pools": {
        "cpu": {"cpus": 16, "memory_gib": 64, "labels": {"kind": "cpu"}},
        "gpu": {"cpus": 8, "memory_gib": 64, "gpus": 1, "accelerator": "H100"},
    },
    "units": {
        "scorer": {
            "replicas": 3,
            "profile": "scorer.json",
            "pools": {
                "gpu": {"gpus": 0.5, "cpus": 1, "replicas": 2, "profile": "scorer-gpu.json"},
                "cpu": {"weight": 0.25},
            },
        }
    },
}


def config_of(*changes: dict[str, Any]) -> PipelineConfig:
    document = pipeline_document()
    for change in changes:
        document = merged(document, change)
    return validated(document, "test")


def test_unit_without_pools_is_one_deployment_with_its_name() -> None:
    config = config_of(SPLIT)
    assert [placement.deployment for placement in all_placements(config)] == ["main", "scorer"]
    (scorer,) = placements(config, "scorer")
    assert scorer.key == Key("scorer", "local")
    assert scorer.actor_options() == {"num_cpus": 0.5}


def test_unit_with_pools_is_one_deployment_per_pool_with_its_own_resources() -> None:
    config = config_of(SPLIT, POOLS)
    assert [placement.deployment for placement in all_placements(config)] == [
        "main",
        "scorer@gpu",
        "scorer@cpu",
    ]
    gpu, cpu = placements(config, "scorer")
    assert gpu.actor_options() == {"num_cpus": 1, "num_gpus": 0.5, "accelerator_type": "H100"}
    assert cpu.actor_options() == {"num_cpus": 0.5, "label_selector": {"kind": "cpu"}}
    assert (gpu.replicas, gpu.weight, gpu.profile) == (2, 2.0, "scorer-gpu.json")
    assert (cpu.replicas, cpu.weight, cpu.profile) == (3, 0.25, "scorer.json")


def test_units_without_pools_use_the_described_local_pool() -> None:
    config = config_of({"pools": {"local": {"cpus": 2, "memory_gib": 4, "price_per_hour": 0.3}}})
    assert placements(config, "main")[0].pool.price_per_hour == 0.3


def test_finds_placement_by_deployment_name() -> None:
    config = config_of(SPLIT, POOLS)
    assert placement_of(config, "scorer@cpu").key == Key("scorer", "cpu")
    with pytest.raises(
        ConfigError, match="unknown deployment, got scorer@tpu; pipeline small has main, scorer@gpu"
    ):
        placement_of(config, "scorer@tpu")
