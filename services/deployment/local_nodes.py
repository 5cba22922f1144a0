"""A check before the start on one machine: it has what the replicas need. On a cluster such nodes may still come."""

from collections.abc import Mapping, Sequence
from typing import Any

import ray

from services.autoscaling.spec import lowered
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, all_placements
from services.errors import ConfigError

Node = Mapping[str, Any]
"""A node as Ray lists it, with ``Resources`` and ``Labels``."""


def check_local_nodes(config: PipelineConfig) -> None:
    """Check that the running nodes can hold a replica of each unit that starts with one.

    Raises:
        ConfigError: as for ``refuse_unplaceable``.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    refuse_unplaceable(config, alive)


def refuse_unplaceable(config: PipelineConfig, nodes: Sequence[Node]) -> None:
    """Refuse a pipeline whose replicas would wait for a node for ever.

    Raises:
        ConfigError: no node has the GPUs, the accelerator or the labels of a pool in which replicas start.
    """
    spec = lowered(config, {})
    starting = [each for each in all_placements(config) if spec.placed(each.key).initial_replicas]
    found = [fault for fault in (_fault(placement, nodes) for placement in starting) if fault]
    if found:
        raise ConfigError("\n".join(found))


def _fault(placement: Placement, nodes: Sequence[Node]) -> str | None:
    needs = []
    if placement.gpus:
        needs.append(("GPU", placement.gpus, f"{placement.gpus:g} GPU"))
    if placement.pool.accelerator is not None:
        name = placement.pool.accelerator
        needs.append((f"accelerator_type:{name}", 0.0, f"the accelerator {name}"))
    for resource, least, text in needs:
        if not any(node["Resources"].get(resource, 0) >= max(least, 1e-9) for node in nodes):
            return _line(placement, text)
    labels = placement.pool.labels
    if not any(labels.items() <= node.get("Labels", {}).items() for node in nodes):
        return _line(
            placement, "the labels " + ", ".join(f"{name}={value}" for name, value in labels.items())
        )
    return None


def _line(placement: Placement, needed: str) -> str:
    unit, pool = placement.key
    return (
        f"units.{unit}.pools.{pool}: a replica needs a node with {needed}, and this machine is none; leave out the "
        f"pool here, let it start with replicas: 0 (with autoscaling), or serve the pipeline on a cluster"
    )
