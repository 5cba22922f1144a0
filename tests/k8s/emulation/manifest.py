"""Reads a RayService for the emulation: groups as KubeRay starts them, the cluster as Ray's autoscaler reads it."""

import copy
import json
from dataclasses import dataclass
from typing import Any

import yaml
from ray.autoscaler._private.kuberay.utils import parse_quantity

Document = dict[str, Any]
_GROUP_RESOURCES = {"CPU": "num-cpus", "GPU": "num-gpus", "memory": "memory"}


@dataclass(frozen=True)
class Group:
    """One group of pods.

    Attributes:
        name: name of the group.
        is_head: whether it is the head.
        start_params: the flags for ``ray start``.
        environment: the Ray container's environment.
    """

    name: str
    is_head: bool
    start_params: dict[str, str]
    environment: dict[str, str]

    @classmethod
    def from_spec(cls, spec: Document, *, is_head: bool = False) -> "Group":
        """Return the group that KubeRay reads from a headGroupSpec or an entry in workerGroupSpecs."""
        container = spec["template"]["spec"]["containers"][0]
        environment = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
        return cls("headgroup" if is_head else spec["groupName"], is_head, _start_params(spec), environment)


def _start_params(spec: Document) -> dict[str, str]:
    """Return the flags from rayStartParams, else from the group's resources, else from the container's limits.

    The group's labels become the flag ``labels``.
    """
    params = {name: str(value) for name, value in spec.get("rayStartParams", {}).items()}
    own = {name: parse_quantity(value) for name, value in spec.get("resources", {}).items()}
    for name, flag in _GROUP_RESOURCES.items():
        if name in own:
            params.setdefault(flag, str(int(own[name])))
    custom = {name: float(value) for name, value in own.items() if name not in _GROUP_RESOURCES}
    if custom:
        params.setdefault("resources", json.dumps(custom))
    elif "resources" in params:
        # The value is quoted for KubeRay's shell.
        params["resources"] = params["resources"].strip("'\"").replace('\\"', '"')
    limits = spec["template"]["spec"]["containers"][0].get("resources", {}).get("limits", {})
    for name, quantity in limits.items():
        flag = "num-cpus" if name == "cpu" else "num-gpus" if name.endswith("gpu") else name
        if flag in ("num-cpus", "num-gpus", "memory"):
            params.setdefault(flag, str(int(parse_quantity(quantity))))
    if spec.get("labels"):
        params["labels"] = ",".join(f"{name}={value}" for name, value in spec["labels"].items())
    return params


def groups_of(service: Document) -> dict[str, Group]:
    """Return a RayService's groups by name. The head comes first."""
    cluster = service["spec"]["rayClusterConfig"]
    head = Group.from_spec(cluster["headGroupSpec"], is_head=True)
    workers = [Group.from_spec(spec) for spec in cluster["workerGroupSpecs"]]
    return {group.name: group for group in [head, *workers]}


def ray_cluster(service: Document, name: str, namespace: str) -> Document:
    """Return the RayCluster that the operator creates for a RayService, with the defaults that patches replace."""
    spec = copy.deepcopy(service["spec"]["rayClusterConfig"])
    for group in spec["workerGroupSpecs"]:
        group.setdefault("replicas", group["minReplicas"])
        group.setdefault("scaleStrategy", {})
    metadata = {"name": name, "namespace": namespace, "resourceVersion": "1", "generation": 1}
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata, "spec": spec}


def serve_document(service: Document) -> Document:
    """Return serveConfigV2, which the operator sends to the head's dashboard."""
    document: Document = yaml.safe_load(service["spec"]["serveConfigV2"])
    return document
