"""The difference between a live RayCluster's groups and a configuration's, and the patch that removes this difference.

KubeRay ignores four fields in a RayService while its cluster runs: replicas, minReplicas, maxReplicas and
tolerations. If these fields are patched in the RayCluster instead, KubeRay does not revert them:

- ``minReplicas`` and ``maxReplicas`` take the configuration's values. A maximum below the running nodes is
  refused, because Ray's autoscaler would end nodes that answer requests.
- ``replicas`` belongs to the autoscaler. It is only changed if the new minimum is higher, and is then raised to this
  minimum.
- Tolerations are added and never removed, because an overlay may have tolerations of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.errors import ConfigError

Group = dict[str, Any]
_GROUPS = "/spec/workerGroupSpecs"
_MOST = 2**31 - 1  # KubeRay's default for maxReplicas
_PATHS = {
    "minReplicas": "minReplicas",
    "maxReplicas": "maxReplicas",
    "replicas": "replicas",
    "tolerations": "template/spec/tolerations",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change to one field of a group.

    Attributes:
        field: the field's name.
        live: the value now.
        wanted: the value after the patch.
    """

    field: str
    live: Any
    wanted: Any


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """One live group compared with the configuration.

    Attributes:
        index: the group's position in the cluster.
        nodes: how many nodes the live group should have now.
        changes: the fields that differ.
        kept: tolerations that only the live cluster has.
    """

    name: str
    index: int
    nodes: int
    changes: tuple[Change, ...]
    kept: tuple[Any, ...]


def differences(cluster: str, live: Sequence[Group], wanted: Sequence[Group]) -> tuple[GroupDifference, ...]:
    """Compare the groups by name, in the live cluster's order.

    Raises:
        ConfigError: a group exists only in the cluster or only in the configuration, or its new maximum is below its
            running nodes. Then nothing can be patched.
    """
    by_name = {group["groupName"]: group for group in wanted}
    live_names = [group["groupName"] for group in live]
    _check_same_groups(cluster, live_names, list(by_name))
    return tuple(
        _compared(cluster, index, group, by_name[live_names[index]]) for index, group in enumerate(live)
    )


def patch_of(generation: int, groups: Sequence[GroupDifference]) -> list[dict[str, Any]]:
    """Return a JSON patch (RFC 6902) with all changes. The server applies the whole patch or nothing.

    Args:
        generation: the cluster's ``metadata.generation`` when it was read. This number counts changes to the spec, so
            the server refuses the patch if the spec has changed since. A resourceVersion would also count changes to
            the status, which the operator writes many times while pods start.
        groups: the compared groups. The patch addresses groups by position, so it also tests their names.
    """
    operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/generation", "value": generation}]
    for group in groups:
        if group.changes:
            path = f"{_GROUPS}/{group.index}"
            operations.append({"op": "test", "path": f"{path}/groupName", "value": group.name})
            operations += [
                {
                    "op": "add",
                    "path": f"{path}/{_PATHS[change.field]}",
                    "value": change.wanted,
                }  # "add" also replaces a value
                for change in group.changes
            ]
    return operations


def _check_same_groups(cluster: str, live: Sequence[str], wanted: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in live]:
        raise ConfigError(
            f"pools.{', pools.'.join(missing)}: not a group of RayCluster {cluster}, got {', '.join(live)}; render and "
            f"apply the RayService, because KubeRay can add a group to a running cluster only at the end "
            f"(k8s/README.md, Upgrade)"
        )
    if unused := [name for name in live if name not in wanted]:
        raise ConfigError(
            f"pools: RayCluster {cluster} has a group that no unit uses, got {', '.join(unused)}; use the "
            f"configuration from which the cluster was made, because only a new cluster can drop a group "
            f"(k8s/README.md, Upgrade)"
        )


def _compared(cluster: str, index: int, live: Group, wanted: Group) -> GroupDifference:
    least = live.get("minReplicas") or 0
    most = _MOST if live.get("maxReplicas") is None else live["maxReplicas"]
    replicas = live.get("replicas") or 0
    nodes = min(max(replicas, least), most)  # KubeRay's rule
    if wanted["maxReplicas"] < nodes:
        raise ConfigError(
            f"pools.{live['groupName']}.max_nodes: below the {nodes} nodes of RayCluster {cluster}, got "
            f"{wanted['maxReplicas']}; apply the lower bound to the RayService first and wait until fewer nodes run, "
            f"or give {nodes} or more"
        )
    tolerations = live["template"]["spec"].get("tolerations") or []
    wanted_tolerations = wanted["template"]["spec"].get("tolerations") or []
    live_keys, wanted_keys = (
        {_canonical(each) for each in tolerations},
        {_canonical(each) for each in wanted_tolerations},
    )
    added = [each for each in wanted_tolerations if _canonical(each) not in live_keys]
    changes = (
        Change("minReplicas", least, wanted["minReplicas"]),
        Change("maxReplicas", most, wanted["maxReplicas"]),
        Change("replicas", replicas, max(replicas, wanted["minReplicas"])),
        Change("tolerations", tolerations, [*tolerations, *added]),
    )
    return GroupDifference(
        name=live["groupName"],
        index=index,
        nodes=nodes,
        changes=tuple(change for change in changes if change.live != change.wanted),
        kept=tuple(each for each in tolerations if _canonical(each) not in wanted_keys),
    )


def _canonical(toleration: dict[str, Any]) -> str:
    """Return the same text for equal tolerations. A missing operator means Equal."""
    stated = {key: value for key, value in toleration.items() if value is not None}
    return json.dumps({"operator": "Equal", **stated}, sort_keys=True)
