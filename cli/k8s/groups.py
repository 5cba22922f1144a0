"""A RayCluster's groups: the head, and one worker group for each pool with a unit."""

import math
from collections.abc import Iterator
from typing import Any

from autoscale.pools import PoolConfig
from cli.k8s.names import ACCELERATOR_LABEL, GPU_RESOURCE, HEAD, POOL_LABEL, SPOT_LABEL, WORKER
from cli.k8s.pods import pod_labels, pod_template
from services.autoscaling.spec import lowered
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, all_placements
from services.sharding.actors import bundles

IDLE_S = 60
"""Seconds after which an empty node is removed. The simulator and Ray's default use the same value."""

# Share of a node's CPUs and memory to request. The rest is for the kubelet, the system and daemon pods.
_ASKED_SHARE = 0.85
_GIB_IN_MIB = 1024
_HEAD_RESOURCES = {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"memory": "16Gi"}}


def used_pools(config: PipelineConfig) -> dict[str, PoolConfig]:
    """Return the pools that have a unit, by name."""
    return {placement.key.pool: placement.pool for placement in all_placements(config)}


def head_group(config: PipelineConfig) -> dict[str, Any]:
    """Return the head group. It runs no replicas, so that a request never depends on the head."""
    return {
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
        "template": pod_template(config, HEAD, {}, _HEAD_RESOURCES),
    }


def worker_group(config: PipelineConfig, name: str) -> dict[str, Any]:
    """Return a pool's worker group, with one pod per node.

    Ray counts all the node's CPUs, like the pool and the simulator. The pod requests slightly fewer CPUs from
    Kubernetes. There is no CPU limit, because a throttled model thread misses deadlines.
    """
    pool = config.pools[name]
    template = pod_template(config, WORKER, {POOL_LABEL: name}, _resources(pool), pool=pool)
    spec = template["spec"]
    spec["topologySpreadConstraints"] = list(_spread(pod_labels(config, WORKER) | {POOL_LABEL: name}))
    spec["nodeSelector"] |= _node_labels(pool)
    taints = [key for key, is_present in ((GPU_RESOURCE, pool.gpus), (SPOT_LABEL, pool.spot)) if is_present]
    if taints:
        spec["tolerations"] = [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in taints]
    return {
        "groupName": name,
        "minReplicas": pool.min_nodes,
        "replicas": min(pool.max_nodes, max(pool.min_nodes, nodes_at_start(config, name))),
        "maxReplicas": pool.max_nodes,
        "idleTimeoutSeconds": IDLE_S,
        "labels": dict(pool.labels),
        "resources": _ray_resources(pool),
        "rayStartParams": {},
        "template": template,
    }


def nodes_at_start(config: PipelineConfig, pool: str) -> int:
    """Return the node count that the initial replicas need."""
    return _nodes(config, pool, {each.deployment: each.replicas for each in all_placements(config)})


def nodes_at_least(config: PipelineConfig, pool: str) -> int:
    """Return how many nodes always exist.

    This is ``min_nodes``, or the node count that the minimum replicas need if that is higher.
    """
    return max(config.pools[pool].min_nodes, _nodes(config, pool, _fewest(config)))


def nodes_to_update(config: PipelineConfig, pool: str) -> int:
    """Return the minimum node count for an update.

    In each deployment, an update starts a new replica before it stops an old one.
    """
    return _nodes(config, pool, {name: count + 1 if count else 0 for name, count in _fewest(config).items()})


def _fewest(config: PipelineConfig) -> dict[str, int]:
    if config.autoscaling is None:
        return {each.deployment: each.replicas for each in all_placements(config)}
    spec = lowered(config, {})
    return {each.deployment: spec.placed(each.key).min_replicas for each in all_placements(config)}


def _nodes(config: PipelineConfig, name: str, replicas: dict[str, int]) -> int:
    """Return the node count that the deployments need with these replica counts.

    The scarcer of CPUs and GPUs decides.
    """
    pool, placements_here = config.pools[name], [p for p in all_placements(config) if p.key.pool == name]

    def used(resource: str) -> float:
        return sum(
            replicas[each.deployment] * _replica_demand(config, each, resource) for each in placements_here
        )

    return math.ceil(max(used("CPU") / pool.cpus, used("GPU") / pool.gpus if pool.gpus else 0.0))


def _replica_demand(config: PipelineConfig, placement: Placement, resource: str) -> float:
    return sum(bundle.get(resource, 0.0) for bundle in bundles(config, placement))


def _resources(pool: PoolConfig) -> dict[str, Any]:
    """Return the resources that a pod requests from Kubernetes."""
    memory = f"{int(_ASKED_SHARE * pool.memory_gib * _GIB_IN_MIB)}Mi"
    requests: dict[str, str] = {"cpu": f"{int(_ASKED_SHARE * pool.cpus * 1000)}m", "memory": memory}
    limits: dict[str, str] = {"memory": memory}
    if pool.gpus:
        requests[GPU_RESOURCE] = limits[GPU_RESOURCE] = str(pool.gpus)
    return {"requests": requests, "limits": limits}


def _node_labels(pool: PoolConfig) -> dict[str, str]:
    """Return the labels that distinguish this pool's nodes from other nodes in Kubernetes."""
    accelerator = {} if pool.accelerator is None else {ACCELERATOR_LABEL: pool.accelerator}
    return accelerator | ({} if pool.spot is None else {SPOT_LABEL: "true"})


def _ray_resources(pool: PoolConfig) -> dict[str, str]:
    """Return the resources that Ray schedules by.

    If a group has no node yet, the autoscaler knows only these resources.
    """
    resources = {"CPU": str(math.floor(pool.cpus))}
    if pool.gpus:
        resources["GPU"] = str(pool.gpus)
    if pool.accelerator is not None:
        resources[f"accelerator_type:{pool.accelerator}"] = "1"
    return resources


def _spread(labels: dict[str, str]) -> Iterator[dict[str, Any]]:
    for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname"):
        yield {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
        }
