"""The objects that rules check: a build's objects, and the pods that would be made from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Object = dict[str, Any]

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


class Fault(NamedTuple):
    """A problem that a rule found.

    Attributes:
        where: kind, name and field of the object.
        problem: the problem and the value.
        remedy: how to correct the problem.
    """

    where: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault and the name of its rule."""

    rule: str
    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.where}: {self.problem}; {self.remedy} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class Group:
    """The head group or a worker group of a RayService."""

    service: Object
    spec: Object
    is_head: bool

    @property
    def where(self) -> str:
        """The RayService's name, then the group's name."""
        return f"{title(self.service)} {'head' if self.is_head else self.spec.get('groupName')}"

    @property
    def template(self) -> Object:
        """The pod template."""
        template: Object = self.spec["template"]
        return template

    @property
    def pod(self) -> Object:
        """The pod's spec."""
        pod: Object = self.template["spec"]
        return pod

    @property
    def container(self) -> Object:
        """The container that runs Ray. KubeRay uses the first one."""
        container: Object = self.pod["containers"][0]
        return container

    @property
    def labels(self) -> Mapping[str, str]:
        """The pods' labels."""
        return labels_of(self.template)

    @property
    def ray_parameters(self) -> Mapping[str, str]:
        """The parameters of ``ray start``."""
        return self.spec.get("rayStartParams") or {}


@dataclass(frozen=True, slots=True)
class Pods:
    """A workload's or a group's pods.

    Attributes:
        where: the workload's or group's name.
    """

    where: str
    namespace: str | None
    template: Object


def title(each: Object) -> str:
    """Return kind and name."""
    return f"{each.get('kind')} {(each.get('metadata') or {}).get('name')}"


def labels_of(each: Object) -> Mapping[str, str]:
    """Return an object's or template's labels."""
    return (each.get("metadata") or {}).get("labels") or {}


def of_kind(objects: Sequence[Object], *kinds: str) -> Iterator[Object]:
    """Return the objects with these kinds."""
    return (each for each in objects if each.get("kind") in kinds)


def clusters(objects: Sequence[Object]) -> Iterator[tuple[Object, Object]]:
    """Yield every RayService with its rayClusterConfig."""
    for service in of_kind(objects, "RayService"):
        yield service, service["spec"]["rayClusterConfig"]


def groups(objects: Sequence[Object]) -> Iterator[Group]:
    """Yield every RayService's head group and worker groups."""
    for service, cluster in clusters(objects):
        yield Group(service, cluster["headGroupSpec"], is_head=True)
        for spec in cluster.get("workerGroupSpecs") or []:
            yield Group(service, spec, is_head=False)


def workers(objects: Sequence[Object]) -> Iterator[Group]:
    """Return every worker group."""
    return (group for group in groups(objects) if not group.is_head)


def heads(objects: Sequence[Object]) -> Iterator[Group]:
    """Return every head group."""
    return (group for group in groups(objects) if group.is_head)


def all_pods(objects: Sequence[Object]) -> Iterator[Pods]:
    """Yield the pods in all groups and all other workloads."""
    for group in groups(objects):
        yield Pods(group.where, namespace_of(group.service), group.template)
    for each in of_kind(objects, *WORKLOADS):
        yield Pods(title(each), namespace_of(each), each["spec"]["template"])


def namespace_of(each: Object) -> str | None:
    """Return the namespace that an object names, if any."""
    namespace: str | None = each["metadata"].get("namespace")
    return namespace


def environment(container: Object) -> dict[str, Any]:
    """Return a container's environment by name. A value from elsewhere, such as a secret, is None."""
    return {each["name"]: each.get("value") for each in container.get("env") or []}


def selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector matches these labels. An empty selector matches all."""
    selector = selector or {}
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case _:
            return value is None
