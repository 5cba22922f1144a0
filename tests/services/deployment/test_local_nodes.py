"""The check that this machine can hold the replicas."""

from typing import Any

import pytest

from services.config.loading import validated
from services.deployment.local_nodes import Node, refuse_unplaceable
from services.errors import ConfigError
from tests.pipelines import SPLIT, merged, pipeline_document

LAPTOP: Node = {"Resources": {"CPU": 8.0}, "Labels": {"ray.io/node-id": "x"}}
SERVER: Node = {
    "Resources": {"CPU": 8.0, "GPU": 1.0, "accelerator_type:L4": 1.0},
    "Labels": {"ray.io/node-id": "y", "tier": "gpu"},
}


def refuse(pool: dict[str, Any], placed: dict[str, Any], *nodes: Node) -> None:
    """Check the small pipeline with a ranker on CPUs and in another pool."""
    node = {"cpus": 8, "memory_gib": 16}
    changes: dict[str, Any] = {
        "autoscaling": {"p99_ms": 100, "policy": {"kind": "target_ongoing"}},
        "pools": {"cpu": node, "other": node | pool},
        "units": {"main": {"pools": {"cpu": {}}}, "scorer": {"pools": {"cpu": {}, "other": placed}}},
    }
    refuse_unplaceable(validated(merged(merged(pipeline_document(), SPLIT), changes), "test"), nodes)


@pytest.mark.parametrize(
    ("pool", "placed", "needed"),
    [
        ({"gpus": 4}, {"gpus": 2}, "2 GPU"),
        ({"gpus": 1, "accelerator": "H100"}, {"gpus": 1}, "the accelerator H100"),
        ({"labels": {"tier": "gpu", "zone": "a"}}, {}, "the labels tier=gpu, zone=a"),
    ],
)
def test_refuses_replicas_that_no_node_can_hold(
    pool: dict[str, Any], placed: dict[str, Any], needed: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        refuse(pool, placed, LAPTOP, SERVER)
    assert str(raised.value).startswith(f"units.scorer.pools.other: a replica needs a node with {needed}, ")
    refuse(pool, placed | {"replicas": 0}, LAPTOP, SERVER)


@pytest.mark.parametrize("labels", [{}, {"tier": "gpu"}])
def test_accepts_replicas_that_some_node_can_hold(labels: dict[str, str]) -> None:
    refuse({"gpus": 1, "accelerator": "L4", "labels": labels}, {"gpus": 0.5}, LAPTOP, SERVER)
