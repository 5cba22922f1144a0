"""The emulated KubeRay operator: it creates and deletes pods as the RayCluster says, and replaces ended ones."""

import copy
import itertools
import threading
from collections.abc import Mapping
from typing import Any

from tests.k8s.emulation.json_patch import patched
from tests.k8s.emulation.manifest import Document, Group
from tests.k8s.emulation.pods import Machine, Pod
from tests.k8s.emulation.timeline import Timeline

HEAD = "headgroup"
_STOP_LIMIT_S = 60.0
_STARTS_AT_ONCE = 2
"""The maximum number of pods that start at once. If too many share the cores, a raylet exceeds Ray's limit of 30 s."""


class Operator:
    """Reconciles the pods with the RayCluster, whenever the RayCluster or a pod changes."""

    def __init__(
        self, cluster: Document, groups: Mapping[str, Group], machine: Machine, timeline: Timeline
    ) -> None:
        """Start the head's pod and, when it is up, the groups' pods."""
        self._cluster, self._groups, self._machine, self._timeline = cluster, groups, machine, timeline
        self._pods: dict[str, Pod] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._holds_head = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)
        self._thread.start()

    @property
    def cluster(self) -> Document:
        """A copy of the current RayCluster."""
        with self._changed:
            return copy.deepcopy(self._cluster)

    def pods(self, group: str | None = None) -> list[Pod]:
        """Return the pods in one group or in all groups, except pods that are being deleted."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            return [
                pod for pod in self._pods.values() if not pod.deleting and group in (None, pod.group.name)
            ]

    def pod_objects(self) -> list[Document]:
        """Return all pods as API objects."""
        with self._changed:
            return [self._object(pod) for pod in self._pods.values()]

    def patch(self, operations: list[dict[str, Any]]) -> Document:
        """Apply a JSON patch (RFC 6902) to the RayCluster, and reconcile.

        Raises:
            PatchFailed: the patch does not apply. The cluster is unchanged.
        """
        with self._changed:
            cluster = patched(self._cluster, operations)
            for before, after in zip(
                self._cluster["spec"]["workerGroupSpecs"], cluster["spec"]["workerGroupSpecs"], strict=True
            ):
                if before["replicas"] != after["replicas"]:
                    change = f"{after['groupName']} {before['replicas']} -> {after['replicas']}"
                    self._timeline.note("replicas asked", change)
            version = int(cluster["metadata"]["resourceVersion"]) + 1
            cluster["metadata"] |= {"resourceVersion": str(version), "generation": version}
            self._cluster = cluster
            self._changed.notify_all()
            return copy.deepcopy(cluster)

    def hold_head(self) -> None:
        """Do not replace an ended head until ``release_head``. This emulates the time until a new pod is scheduled."""
        with self._changed:
            self._holds_head = True

    def release_head(self) -> None:
        """Allow a new head to start."""
        with self._changed:
            self._holds_head = False
            self._changed.notify_all()

    def close(self) -> None:
        """Kill all pods."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(_STOP_LIMIT_S)
        for pod in self._pods.values():
            pod.kill()

    def _run(self) -> None:
        try:
            with self._changed:
                while not self._stopping:
                    self._reconcile()
                    self._changed.wait()
        except BaseException as error:
            self._failure = error
            raise

    def _reconcile(self) -> None:
        for pod in [pod for pod in self._pods.values() if pod.has_ended]:
            if pod.group.is_head and self._holds_head:
                continue
            if not pod.deleting:
                self._timeline.note("pod lost", f"{pod.name}: {pod.last_output}")
            del self._pods[pod.name]
        if not any(pod.group.is_head for pod in self._pods.values()):
            self._create(HEAD)
        for spec in self._cluster["spec"]["workerGroupSpecs"]:
            name = spec["groupName"]
            for deleted in spec["scaleStrategy"].get("workersToDelete", []):
                if deleted in self._pods and not self._pods[deleted].deleting:
                    self._delete(self._pods[deleted])
            pods = [pod for pod in self._pods.values() if pod.group.name == name and not pod.deleting]
            for _ in range(spec["replicas"] - len(pods)):
                self._create(name)
        self._start()

    def _create(self, group: str) -> None:
        numbers = {pod.number for pod in self._pods.values()}
        number = next(each for each in itertools.count() if each not in numbers)
        name = f"{self._cluster['metadata']['name']}-{group}-{next(self._numbers)}"
        self._pods[name] = Pod(name, self._groups[group], number, self._machine, self._pod_changed)
        self._timeline.note("pod created", name)

    def _start(self) -> None:
        """Start the head's container, then the groups' containers, which wait for the head in an init container."""
        has_head = any(
            pod.group.is_head and pod.up.is_set() and not pod.has_ended for pod in self._pods.values()
        )
        starting = sum(not (pod.is_pending or pod.up.is_set()) for pod in self._pods.values())
        ready = [pod for pod in self._pods.values() if pod.is_pending and (pod.group.is_head or has_head)]
        for pod in ready[: max(0, _STARTS_AT_ONCE - starting)]:
            pod.start()

    def _pod_changed(self, pod: Pod) -> None:
        if not pod.has_ended:
            self._timeline.note("pod up", pod.name)
        with self._changed:
            self._changed.notify_all()

    def _delete(self, pod: Pod) -> None:
        pod.deleting = True
        self._timeline.note("pod deleted", pod.name)
        threading.Thread(target=pod.stop, name=f"delete {pod.name}", daemon=True).start()

    def _object(self, pod: Pod) -> Document:
        kind = "head" if pod.group.is_head else "worker"
        labels = {
            "ray.io/cluster": self._cluster["metadata"]["name"],
            "ray.io/node-type": kind,
            "ray.io/group": pod.group.name,
        }
        metadata: Document = {"name": pod.name, "labels": labels, "resourceVersion": "1"}
        if pod.deleting:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        status: Document = {"phase": "Pending", "podIP": "127.0.0.1"}
        if not pod.is_pending:
            state = {"terminated": {"exitCode": 137}} if pod.has_ended else {"running": {}}
            status |= {"phase": "Running", "containerStatuses": [{"name": "ray", "state": state}]}
        return {"metadata": metadata, "spec": {"containers": [{"name": "ray"}]}, "status": status}
