"""The ranks of a replica as actors: the bundles that they ask for, whether these fit, and how they are started."""

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
from services.sharding.commands import Place
from services.sharding.follower import follow
from services.sharding.group import ShardGroup

Resources = dict[str, float]
_SCARCELY = 0.001
"""What Ray asks of a node that is to have an accelerator of a type."""

# Serve replaces a replica after three checks in a row that fail or time out.
_HEALTH_CHECK_PERIOD_S = 0.5
_HEALTH_CHECK_TIMEOUT_S = 1.5


def bundles(config: PipelineConfig, placement: Placement) -> list[Resources]:
    """Give what each rank of a replica asks for, rank 0 first; one bundle where nothing is sharded."""
    sharded = sharded_runtime(config, placement.key.unit)
    bundle: Resources = {"CPU": placement.cpus}
    if placement.gpus:
        bundle["GPU"] = placement.gpus
    if placement.pool.accelerator is not None:
        bundle[f"accelerator_type:{placement.pool.accelerator}"] = _SCARCELY
    return [dict(bundle) for _ in range(1 if sharded is None else sharded.shards)]


def group_options(config: PipelineConfig, placement: Placement) -> dict[str, Any]:
    """Give Serve's options of a unit whose replicas are shard groups, none of one whose are not."""
    sharded = sharded_runtime(config, placement.key.unit)
    if sharded is None:
        return {}
    options: dict[str, Any] = {
        "placement_group_bundles": bundles(config, placement),
        "placement_group_strategy": sharded.placement,
        "health_check_period_s": _HEALTH_CHECK_PERIOD_S,
        "health_check_timeout_s": _HEALTH_CHECK_TIMEOUT_S,
        # Where the bundles are is said once, for all of them.
        "ray_actor_options": {"num_cpus": placement.cpus, "num_gpus": placement.gpus},
    }
    if placement.pool.labels:
        options["placement_group_bundle_label_selector"] = [dict(placement.pool.labels)]
    return options


def unplaceable(wanted: Sequence[Resources], nodes: Sequence[Mapping[str, float]]) -> str | None:
    """Say which resource is missing, None when all bundles, which are alike, find a place on the empty nodes."""
    left = [dict(node) for node in nodes]
    for bundle in wanted:
        fitting = [node for node in left if all(node.get(name, 0) >= much for name, much in bundle.items())]
        if not fitting:
            scarce = [name for name, much in bundle.items() if all(node.get(name, 0) < much for node in left)]
            name = (scarce or list(bundle))[0]
            has = ", ".join(f"{node.get(name, 0):g}" for node in nodes) or "no nodes"
            return f"{len(wanted)} ranks need {bundle[name]:g} {name} each, and the nodes have {has}"
        for name, much in bundle.items():
            fitting[0][name] -= much
    return None


def check_placeable(config: PipelineConfig) -> None:
    """Hold one replica of each sharded unit against the running cluster.

    Raises:
        ConfigError: it finds no place, and which resource is missing.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    for placement in all_placements(config):
        if sharded_runtime(config, placement.key.unit) is None:
            continue
        fault = unplaceable(bundles(config, placement), nodes)
        if fault is not None:
            raise ConfigError(
                f"units.{placement.key.unit}: a shard group of {placement.deployment} finds no place: {fault}. Lower "
                f"models.<name>.runtime.shards or what a rank takes, or add nodes",
                field=f"units.{placement.key.unit}",
            )


@ray.remote(max_restarts=0)
class Shard:
    """One rank of a group but the first."""

    def follow(self, place: Place) -> None:
        """Do what rank 0 orders, until that is gone."""
        follow(place, _own_address())


class Actors:
    """Ranks as actors on the bundles of this replica's placement group."""

    def __init__(self, bundle: Resources) -> None:
        """Start none yet; ``bundle`` is what each of them takes."""
        self._bundle = bundle
        self._started: list[ActorHandle[Any]] = []

    def start(self, place: Place) -> None:
        """Start ranks 1 and up."""
        group = get_current_placement_group()
        assert group is not None, "Serve places a unit with bundles in a placement group"
        for rank in range(1, place.size):
            strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
            actor = Shard.options(  # type: ignore[attr-defined]
                scheduling_strategy=strategy,
                num_cpus=self._bundle["CPU"],
                num_gpus=self._bundle.get("GPU", 0),
            ).remote()
            actor.follow.remote(place.of(rank))
            self._started.append(actor)

    def kill(self) -> None:
        """End those that still run."""
        for actor in self._started:
            ray.kill(actor)


def start_group(config: PipelineConfig) -> ShardGroup | None:
    """Start the other ranks of this replica, None where nothing is sharded; the first load waits for them."""
    placement = placement_of(config, serve.get_replica_context().deployment)
    sharded = sharded_runtime(config, placement.key.unit)
    if sharded is None:
        return None
    return ShardGroup(sharded, Actors(bundles(config, placement)[0]), _own_address())


def _own_address() -> str:
    """Give the address by which other nodes know this one; of a service for this machine alone, loopback's."""
    own = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    address: str = next(node["NodeManagerAddress"] for node in nodes if node["NodeID"] == own)
    return address
