"""Rules for the head and the worker groups: their contents, resources, start and shutdown."""

import re
from collections.abc import Iterator, Sequence

from cli.k8s.policy.objects import (
    Fault,
    Object,
    clusters,
    environment,
    groups,
    heads,
    selects,
    title,
    workers,
)
from cli.k8s.policy.serve_config import serve_document

_RESOURCE_PARAMETERS = ("num-cpus", "num-gpus", "memory", "resources", "object-store-memory")
_GPU, _ACCELERATOR = "nvidia.com/gpu", "rankway/accelerator"
_DRAIN = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
_DRAIN_S = 30.0
_GRACE_S = 30
_DATA_PATH = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED")


def head_runs_no_replicas(objects: Sequence[Object]) -> Iterator[Fault]:
    """Refuse replicas on the head: they would compete with the controller and fail with the head."""
    for head in heads(objects):
        cpus = head.ray_parameters.get("num-cpus", (head.spec.get("resources") or {}).get("CPU"))
        if cpus != "0":
            yield Fault(
                f"{head.where} rayStartParams.num-cpus",
                f"Ray may place replicas on the head, got {cpus!r}",
                'set it to "0"',
            )


def serve_port_is_named(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require the port name ``serve`` on the head, by which KubeRay finds the endpoint."""
    for head in heads(objects):
        document = serve_document(head.service) or {}
        port = (document.get("http_options") or {}).get("port", 8000)
        named = {each.get("name"): each["containerPort"] for each in head.container.get("ports") or []}
        if named.get("serve") != port:
            yield Fault(
                f"{head.where} ports serve",
                f"not the endpoint's port, got {named.get('serve')}",
                f"declare containerPort {port} with the name serve",
            )


def resources_are_configured_once(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require a group's resources and labels in one place. KubeRay refuses a group that has them twice."""
    for group in groups(objects):
        parameters = [name for name in _RESOURCE_PARAMETERS if name in group.ray_parameters]
        if group.spec.get("resources") and parameters:
            yield Fault(
                f"{group.where} rayStartParams {', '.join(parameters)}",
                "the group also sets these in its field resources",
                "remove one of the two",
            )
        if "labels" in group.ray_parameters:
            yield Fault(
                f"{group.where} rayStartParams labels",
                "KubeRay reads labels from the group's field `labels`",
                "move them there",
            )


def group_bounds_are_valid(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require bounds for the autoscaler, and a time after which an empty node is removed."""
    for service, cluster in clusters(objects):
        names = [group.get("groupName") for group in cluster.get("workerGroupSpecs") or []]
        for name in sorted({str(name) for name in names if names.count(name) > 1}):
            where = f"{title(service)} workerGroupSpecs {name}"
            yield Fault(where, "two groups have this name", "give each group its own name")
    for group in workers(objects):
        least, now, most = (group.spec.get(name) for name in ("minReplicas", "replicas", "maxReplicas"))
        if least is None or most is None or not least <= (least if now is None else now) <= most:
            yield Fault(
                f"{group.where} minReplicas, replicas, maxReplicas",
                f"not in ascending order, got {least}, {now}, {most}",
                "give minReplicas <= replicas <= maxReplicas",
            )
        if not group.spec.get("idleTimeoutSeconds"):
            yield Fault(
                f"{group.where} idleTimeoutSeconds",
                "an empty node would never be removed",
                "give the seconds after which an empty node is removed",
            )


def pods_are_not_restarted(objects: Sequence[Object]) -> Iterator[Fault]:
    """Refuse container restarts: Ray has already given up the pod's node, and autoscaler v2 makes a new pod."""
    for group in groups(objects):
        policy = group.pod.get("restartPolicy")
        if policy != "Never":
            where = f"{group.where} restartPolicy"
            yield Fault(where, f"containers would be restarted, got {policy}", "set it to Never")


def gpus_are_requested_and_available(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that the pod has the GPUs that Ray counts, and may run on GPU nodes.

    If Ray counts no GPU, the pod must have none.
    """
    for group in groups(objects):
        ray = {**(group.spec.get("resources") or {})}
        counted = ray.get("GPU", group.ray_parameters.get("num-gpus", "0"))
        limits = (group.container.get("resources") or {}).get("limits") or {}
        got = str(limits.get(_GPU, "0"))
        if counted != got:
            yield Fault(
                f"{group.where} limits {_GPU}",
                f"Ray counts {counted} GPUs, but the pod has {got}",
                "give both the same number",
            )
        elif got != "0" and not any(_lets_in_gpus(each) for each in group.pod.get("tolerations") or []):
            yield Fault(
                f"{group.where} tolerations",
                f"GPU nodes have the taint {_GPU}, which the pod does not tolerate",
                f"tolerate {_GPU} with the effect NoSchedule",
            )
        for kind in (name.partition(":")[2] for name in ray if name.startswith("accelerator_type:")):
            selected = (group.pod.get("nodeSelector") or {}).get(_ACCELERATOR)
            if selected != kind:
                yield Fault(
                    f"{group.where} nodeSelector {_ACCELERATOR}",
                    f"Ray expects a node with {kind}, got {selected}",
                    f"set it to {kind}",
                )


def _lets_in_gpus(toleration: Object) -> bool:
    return toleration.get("key") == _GPU and toleration.get("effect") in (None, "NoSchedule")


def pods_are_spread_over_zones(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require pods spread over zones, so that a lost zone does not take a whole pool."""
    for group in workers(objects):
        constraints = group.pod.get("topologySpreadConstraints") or []
        zones = [each for each in constraints if each.get("topologyKey") == "topology.kubernetes.io/zone"]
        if not any(
            selects(each.get("labelSelector"), group.labels) for each in zones if each.get("labelSelector")
        ):
            yield Fault(
                f"{group.where} topologySpreadConstraints",
                "no constraint spreads the group's pods over zones",
                "add one for topology.kubernetes.io/zone that selects the pods' labels",
            )


def memory_request_equals_limit(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that a container's memory request equals its memory limit.

    A pod that uses more than its request is evicted first, or harms other pods on the node.
    """
    for group in groups(objects):
        resources = group.container.get("resources") or {}
        asked, most = ((resources.get(kind) or {}).get("memory") for kind in ("requests", "limits"))
        if not asked or asked != most:
            yield Fault(
                f"{group.where} resources memory",
                f"request and limit must be equal, got {asked} and {most}",
                "set both to the same value",
            )


def pods_have_time_to_drain(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that a pod's shutdown has the right length.

    A stopping pod must answer until load balancers send it no more requests, and end before Kubernetes kills it.
    """
    for group in groups(objects):
        drain = environment(group.container).get(_DRAIN)
        drain_s = _DRAIN_S if drain is None else float(drain)
        grace_s = group.pod.get("terminationGracePeriodSeconds", _GRACE_S)
        hook = ((group.container.get("lifecycle") or {}).get("preStop") or {}).get("exec") or {}
        waits_s, takes_s = _stay_s(hook.get("command") or [])
        if not (drain_s <= waits_s and takes_s < grace_s):
            yield Fault(
                f"{group.where} lifecycle.preStop",
                f"the hook sleeps {waits_s:g} s and may take {takes_s:g} s, but replicas drain for {drain_s:g} s "
                f"and Kubernetes kills the pod after {grace_s} s",
                f"sleep for {drain_s:g} s or more, and end before terminationGracePeriodSeconds are over",
            )


def _stay_s(command: Sequence[str]) -> tuple[float, float]:
    """Return how long a command sleeps, and the longest time that it may run, in seconds.

    ``services.deployment.drain`` has its own limit, ``--limit-s``.
    """
    text = " ".join(command)
    waits = sum(float(each) for each in re.findall(r"\bsleep (\d+(?:\.\d+)?)", text))
    moves = sum(float(each) for each in re.findall(r"--limit-s (\d+(?:\.\d+)?)", text))
    return waits, max(waits, moves) if " & " in text else waits + moves


def fast_data_path_is_enabled(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require the fast data path's two settings. Each needs the other, on every node, before Ray starts."""
    for group in groups(objects):
        variables = environment(group.container)
        for name in _DATA_PATH:
            if variables.get(name) != "1":
                yield Fault(
                    f"{group.where} env {name}",
                    f"requests pass Serve's slow proxy, got {variables.get(name)}",
                    "set it to 1",
                )
