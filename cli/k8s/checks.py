"""Checks for a pipeline before it is rendered.

They find values that Kubernetes or KubeRay would refuse, and values with which a pod would wait forever.
"""

import re

from autoscale.pools import PoolConfig
from cli.k8s.groups import used_pools
from cli.k8s.names import ACCELERATOR_LABEL, HEAD
from services.autoscaling.spec import lowered
from services.config.pipeline import PipelineConfig
from services.config.placement import all_placements
from services.config.units import LOCAL_POOL
from services.errors import ConfigError
from services.ray_internals.cluster import check_node_labels
from services.sharding.actors import bundles, unplaceable

_LONGEST_NAME = 47  # characters; KubeRay appends to the name
_LONGEST_POOL = 63  # characters; a label value
_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


def check_renderable(config: PipelineConfig) -> None:
    """Check the pipeline against the limits of its Kubernetes objects.

    Raises:
        ConfigError: a name, a pool or a shard group's size breaks a rule of Kubernetes, KubeRay or Ray.
        SpecError: a replica does not fit a node in its pool.
    """
    _check_name("name", config.name, _LONGEST_NAME)
    for unit in config.units:
        if not config.units[unit].pools and LOCAL_POOL not in config.pools:
            raise ConfigError(
                f"missing, so the cluster cannot tell which nodes the unit needs; name pools "
                f"for the unit, or "
                f"describe the nodes for all units without pools under pools.{LOCAL_POOL}",
                field=f"units.{unit}.pools",
            )
    for name, pool in used_pools(config).items():
        _check_name(f"pools.{name}", name, _LONGEST_POOL)
        if name == HEAD:
            raise ConfigError(
                f"pools.{name}: the name is reserved for the head node's group; choose another name"
            )
        if pool.min_nodes > pool.max_nodes:
            raise ConfigError(
                f"pools.{name}: min_nodes must be at most max_nodes, got {pool.min_nodes} and {pool.max_nodes}; "
                f"lower min_nodes or raise max_nodes"
            )
        if pool.cpus < 1:
            raise ConfigError(
                f"pools.{name}.cpus: must be at least 1, because Ray counts whole CPUs per node, got {pool.cpus:g}"
            )
        _check_labels(name, pool)
    lowered(config, {})
    _check_groups_fit(config)


def _check_name(field: str, name: str, longest: int) -> None:
    if len(name) > longest or not _LABEL.fullmatch(name):
        raise ConfigError(
            f"a name in Kubernetes must end with a letter or digit and have at most {longest} characters, got "
            f"{name!r} with {len(name)} characters; choose another name",
            field=field,
        )


def _check_labels(name: str, pool: PoolConfig) -> None:
    """Check a pool's node labels.

    KubeRay refuses invalid labels, and Ray reserves the prefix ray.io.
    """
    accelerator = {} if pool.accelerator is None else {ACCELERATOR_LABEL: pool.accelerator}
    try:
        check_node_labels(pool.labels | accelerator)
    except ValueError as error:
        raise ConfigError(str(error), field=f"pools.{name}.labels") from error


def _check_groups_fit(config: PipelineConfig) -> None:
    """Check that each shard group fits its pool. A group's ranks may be on several nodes, up to the pool's maximum."""
    for placement in all_placements(config):
        pool = placement.pool
        node: dict[str, float] = {"CPU": pool.cpus, "GPU": float(pool.gpus)}
        if pool.accelerator is not None:
            node[f"accelerator_type:{pool.accelerator}"] = 1.0
        wanted = bundles(config, placement)
        fault = unplaceable(wanted, [node] * min(pool.max_nodes, len(wanted)))
        if fault is not None:
            raise ConfigError(
                f"units.{placement.key.unit}: a replica of {placement.deployment} does not fit into pool "
                f"{placement.key.pool}, which has at most {pool.max_nodes} nodes: {fault}; lower "
                f"models.<name>.runtime.shards, lower the unit's resources, or describe larger nodes"
            )
