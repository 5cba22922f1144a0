"""Worker groups as Ray's own RayCluster reader interprets them."""

import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from autoscale.pools import PoolConfig
from cli.k8s.groups import head_group, nodes_at_least, nodes_at_start, worker_group
from cli.k8s.rayservice import in_pods
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig

CONFIG = load_config(Path(__file__).resolve().parents[3] / "configs" / "cluster.yaml")


def with_pool(pool: PoolConfig) -> PipelineConfig:
    """Return the cluster's pipeline with another CPU pool."""
    return in_pods(CONFIG.model_copy(update={"pools": {**CONFIG.pools, "cpu": pool}}))


@st.composite
def pools(draw: st.DrawFn) -> PoolConfig:
    fewest = draw(st.integers(0, 50))
    return PoolConfig(
        cpus=draw(st.floats(1, 256)),
        memory_gib=draw(st.floats(0.5, 2048)),
        gpus=draw(st.integers(0, 16)),
        accelerator=draw(st.sampled_from([None, "L4", "A100", "H100"])),
        min_nodes=fewest,
        max_nodes=draw(st.integers(max(1, fewest), 500)),
        labels=draw(st.dictionaries(st.sampled_from(["zone", "rack"]), st.sampled_from(["a", "b-1"]))),
    )


def read_by_ray(config: PipelineConfig, name: str) -> dict[str, Any]:
    """Return the autoscaler's node type for a pool."""
    spec = {"headGroupSpec": head_group(config), "workerGroupSpecs": [worker_group(config, name)]}
    cluster = {"metadata": {"name": "c", "namespace": "n"}, "spec": spec}
    result: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"][name]
    return result


@given(pools())
def test_ray_reads_the_resources_of_the_pool_from_its_group(pool: PoolConfig) -> None:
    read = read_by_ray(with_pool(pool), "cpu")
    assert read["resources"]["CPU"] == math.floor(pool.cpus)
    assert read["resources"].get("GPU", 0) == pool.gpus
    assert 0 < read["resources"]["memory"] < pool.memory_gib * 2**30
    accelerators = {name for name in read["resources"] if name.startswith("accelerator_type:")}
    assert accelerators == ({f"accelerator_type:{pool.accelerator}"} if pool.accelerator else set())
    assert (read["min_workers"], read["max_workers"]) == (pool.min_nodes, pool.max_nodes)
    assert read["labels"] == {**pool.labels, "rankway/pool": "cpu"}


@given(pools())
def test_a_group_starts_within_its_bounds(pool: PoolConfig) -> None:
    group = worker_group(with_pool(pool), "cpu")
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_counts_nodes_by_the_scarcest_resource() -> None:
    config = in_pods(CONFIG)
    assert nodes_at_start(config, "cpu") == math.ceil(60 / 16)
    assert (
        nodes_at_start(config, "gpu-small") == 12
    )  # limited by one GPU per node, although the CPUs suffice for four replicas
    assert nodes_at_least(config, "cpu") == math.ceil(20 / 16)  # autoscaling.bounds
    assert nodes_at_least(config, "gpu-small") == 0
