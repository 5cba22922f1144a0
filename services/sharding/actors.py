"""A replica's ranks as Ray actors: their start, their resources, and a check that the cluster has these resources.

A bundle is Ray's word for resources that are reserved together on one node. Each rank has one bundle.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray import serve
from ray.actor import ActorHandle
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, all_placements, placement_of, sharded_runtime
from services.errors import ConfigError
from services.sharding.commands import RankSpec
from services.sharding.follower import follow
from services.sharding.group import ShardGroup

Resources = dict[str, float]
_ACCELERATOR_SHARE = 0.001
"""The amount that Ray requests of ``accelerator_type:<type>``, a resource that marks nodes with that accelerator."""

# Serve replaces a replica after three checks in a row that fail or time out.
_HEALTH_CHECK_PERIOD_S = 0.5
_HEALTH_CHECK_TIMEOUT_S = 1.5


def bundles(config: PipelineConfig, placement: Placement) -> list[Resources]:
    """Return the resources for each rank of a replica, rank 0 first. Without a sharded model there is one rank."""
    sharded = sharded_runtime(config, placement.key.unit)
    bundle: Resources = {"CPU": placement.cpus}
    if placement.gpus:
        bundle["GPU"] = placement.gpus
    if placement.pool.accelerator is not None:
        bundle[f"accelerator_type:{placement.pool.accelerator}"] = _ACCELERATOR_SHARE
    return [dict(bundle) for _ in range(1 if sharded is None else sharded.shards)]


def group_options(config: PipelineConfig, placement: Placement) -> dict[str, Any]:
    """Return the Serve options for a unit whose replicas are shard groups. Empty for any other unit."""
    sharded = sharded_runtime(config, placement.key.unit)
    if sharded is None:
        return {}
    options: dict[str, Any] = {
        "placement_group_bundles": bundles(config, placement),
        "placement_group_strategy": sharded.placement,
        "health_check_period_s": _HEALTH_CHECK_PERIOD_S,
        "health_check_timeout_s": _HEALTH_CHECK_TIMEOUT_S,
        # The node labels are selected once for all bundles, further down, not for each actor.
        "ray_actor_options": {"num_cpus": placement.cpus, "num_gpus": placement.gpus},
    }
    if placement.pool.labels:
        options["placement_group_bundle_label_selector"] = [dict(placement.pool.labels)]
    return options


def unplaceable(wanted: Sequence[Resources], nodes: Sequence[Mapping[str, float]]) -> str | None:
    """Return a text that names the missing resource, or None if all bundles fit on the empty nodes.

    Args:
        wanted: a bundle for each rank. All bundles are alike.
        nodes: each node's resources.
    """
    free = [dict(node) for node in nodes]
    for bundle in wanted:
        fitting = [
            node for node in free if all(node.get(name, 0) >= amount for name, amount in bundle.items())
        ]
        if not fitting:
            missing = [
                name for name, amount in bundle.items() if all(node.get(name, 0) < amount for node in free)
            ]
            name = (missing or list(bundle))[0]
            amounts = ", ".join(f"{node.get(name, 0):g}" for node in nodes) or "none"
            return f"{len(wanted)} ranks need {bundle[name]:g} {name} each, but the nodes have {amounts}"
        for name, amount in bundle.items():
            fitting[0][name] -= amount
    return None


def check_placeable(config: PipelineConfig) -> None:
    """Check that one replica of each sharded unit fits on the running cluster.

    Raises:
        ConfigError: a replica does not fit. The error names the missing resource.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    for placement in all_placements(config):
        if sharded_runtime(config, placement.key.unit) is None:
            continue
        fault = unplaceable(bundles(config, placement), nodes)
        if fault is not None:
            raise ConfigError(
                f"a shard group of {placement.deployment} does not fit on the cluster: "
                f"{fault}; lower models.<name>.runtime.shards, lower the unit's resources, or add nodes",
                field=f"units.{placement.key.unit}",
            )


@ray.remote(max_restarts=0)
class Shard:
    """The actor for a rank other than 0."""

    def follow(self, spec: RankSpec) -> None:
        """Execute rank 0's commands until rank 0 has ended."""
        follow(spec, _own_address())


class ActorLauncher:
    """Starts ranks as actors on the bundles in this replica's placement group."""

    def __init__(self, bundle: Resources) -> None:
        """Prepare to start actors, each with the resources of ``bundle``."""
        self._bundle = bundle
        self._started: list[ActorHandle[Any]] = []

    def start(self, spec: RankSpec) -> None:
        """Start all ranks except rank 0."""
        group = get_current_placement_group()
        assert group is not None, "Serve places a unit with bundles in a placement group"
        for rank in range(1, spec.size):
            strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
            actor = Shard.options(  # type: ignore[attr-defined]
                scheduling_strategy=strategy,
                num_cpus=self._bundle["CPU"],
                num_gpus=self._bundle.get("GPU", 0),
            ).remote()
            actor.follow.remote(spec.for_rank(rank))
            self._started.append(actor)

    def kill(self) -> None:
        """End all ranks that still run."""
        for actor in self._started:
            ray.kill(actor)


def start_group(config: PipelineConfig) -> ShardGroup | None:
    """Start this replica's other ranks. The first model load waits for them.

    Returns:
        The group, or None if the unit has no sharded model.

    Raises:
        ConfigError: this machine cannot use the configured transport.
    """
    placement = placement_of(config, serve.get_replica_context().deployment)
    sharded = sharded_runtime(config, placement.key.unit)
    if sharded is None:
        return None
    return ShardGroup(sharded, ActorLauncher(bundles(config, placement)[0]), _own_address())


def _own_address() -> str:
    """Return this node's address for other nodes. It is a loopback address if Ray runs only on this machine."""
    own = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    address: str = next(node["NodeManagerAddress"] for node in nodes if node["NodeID"] == own)
    return address
