"""A RayService with its clusters behind an emulated API, and a kubeconfig for the real kubectl."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.k8s.built import Object, rendered_service
from tests.k8s.emulation.api import Answer, Request, kubectl_environment, kubernetes_api
from tests.k8s.emulation.manifest import ray_cluster
from tests.k8s.emulation.objects import Objects
from tests.services.stores.certificates import write_certificates

NAMESPACE, SERVICE = "rankway-cell-a", "cluster"
ACTIVE, PENDING = "cluster-aaaaa", "cluster-bbbbb"
RUNNING = {"cpu": 50, "gpu-small": 100, "gpu-large": 0}
"""The active cluster's nodes by group, as set by the autoscaler. The rendered numbers differ."""


def groups_of(objects: Objects, cluster: str = ACTIVE) -> dict[str, Object]:
    """Return a cluster's groups by name."""
    specs = objects.get("rayclusters", cluster)["spec"]["workerGroupSpecs"]
    return {group["groupName"]: group for group in specs}


def bounds_of(objects: Objects, cluster: str = ACTIVE) -> dict[str, tuple[int, int, int]]:
    """Return each group's minReplicas, replicas and maxReplicas."""
    return {
        name: (group["minReplicas"], group["replicas"], group["maxReplicas"])
        for name, group in groups_of(objects, cluster).items()
    }


def serving_objects() -> Objects:
    """Return the RayService of configs/cluster.yaml, and an active cluster under load."""
    service = rendered_service("cluster.yaml")
    service["status"] = {"activeServiceStatus": {"rayClusterName": ACTIVE}, "pendingServiceStatus": {}}
    objects = Objects(NAMESPACE)
    objects.add("rayservices", service)
    cluster = ray_cluster(service, ACTIVE, NAMESPACE)
    for group in cluster["spec"]["workerGroupSpecs"]:
        group["replicas"] = RUNNING[group["groupName"]]
    objects.add("rayclusters", cluster | {"status": {"readyWorkerReplicas": 0}})
    return objects


def add_pending(objects: Objects) -> None:
    """Begin an upgrade: the operator makes a pending cluster with the rendered numbers."""
    service = objects.get("rayservices", SERVICE)
    objects.add("rayclusters", ray_cluster(service, PENDING, NAMESPACE))
    objects.write(
        "rayservices",
        SERVICE,
        lambda document: document["status"].update(pendingServiceStatus={"rayClusterName": PENDING}),
    )


def take_over(objects: Objects) -> None:
    """End an upgrade: the pending cluster becomes the active one."""
    status = {"activeServiceStatus": {"rayClusterName": PENDING}, "pendingServiceStatus": {}}
    objects.write("rayservices", SERVICE, lambda document: document.update(status=copy.deepcopy(status)))


class ServedObjects:
    """The objects behind the API. Each test replaces them by its own."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def answer(self, request: Request) -> Answer:
        """Answer a request from the current objects."""
        return self.objects.answer(request)


@contextmanager
def served(state: ServedObjects, certificates: Path) -> Iterator[dict[str, str]]:
    """Serve the objects. Yield the environment in which kubectl connects to them."""
    with kubernetes_api(state, certificates) as port:
        yield kubectl_environment(certificates, port, NAMESPACE)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedObjects, dict[str, str]]]:
    """Yield an emulated API for the module, and the environment in which kubectl connects to it.

    conftest files import this fixture.
    """
    folder = tmp_path_factory.mktemp("api")
    write_certificates(folder)
    state = ServedObjects(serving_objects())
    with served(state, folder) as environment:
        yield state, environment
