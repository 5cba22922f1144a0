"""An emulated RayService on this machine: Redis, head, groups of raylets, real autoscaler, and Serve configuration."""

import copy
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.redis_server import RedisServer, redis_server
from services.deployment.ray_settings import free_ports, runtime_directory
from tests.k8s.emulation import trees
from tests.k8s.emulation.api import OneCluster, kubectl_environment, kubernetes_api
from tests.k8s.emulation.autoscaler import Sidecar, autoscaler
from tests.k8s.emulation.manifest import Document, groups_of, ray_cluster, serve_document
from tests.k8s.emulation.operator import HEAD, Operator
from tests.k8s.emulation.pods import Machine, Pod
from tests.k8s.emulation.timeline import Timeline
from tests.services.stores.certificates import write_certificates

NAME, NAMESPACE = "emulated", "default"
LIMIT_S = 180.0
_MARK = "RANKWAY_EMULATION"
_POLL_S = 0.25
_REQUEST_LIMIT_S = 20.0
Replicas = dict[str, list[str]]
"""The pods of running replicas, by deployment."""


class Emulated:
    """A running RayService."""

    def __init__(
        self,
        service: Document,
        operator: Operator,
        sidecar: Sidecar,
        machine: Machine,
        timeline: Timeline,
        kubectl: dict[str, str],
    ) -> None:
        self.operator, self.machine, self.timeline = operator, machine, timeline
        self.kubectl = kubectl
        """The environment in which kubectl uses this cluster's API."""
        self._sidecar = sidecar
        self._document = serve_document(service)

    def deploy(self, change: Callable[[Document], None] = lambda _document: None) -> None:
        """Change serveConfigV2 and send it to the dashboard until it is accepted, as the operator does."""
        change(self._document)
        document = copy.deepcopy(self._document)
        # Host and port are the head's. A worker's proxy gets its own from its pod.
        document["http_options"] = document.get("http_options", {}) | {
            "host": "127.0.0.1",
            "port": self.machine.http_port,
        }
        self.wait_for(lambda: self._ask("PUT", document) is not None, "the dashboard takes serveConfigV2")
        self.timeline.note("deployed")

    def replicas(self) -> Replicas:
        """Return running replicas' pods. Empty while the dashboard or the controller does not answer."""
        return {
            name: sorted(
                each["node_instance_id"] for each in deployment["replicas"] if each["state"] == "RUNNING"
            )
            for application in self._applications()
            for name, deployment in application["deployments"].items()
        }

    def is_running(self) -> bool:
        """Return whether every application is RUNNING."""
        applications = self._applications()
        failed = [each["message"] for each in applications if each["status"] == "DEPLOY_FAILED"]
        assert not failed, failed
        return bool(applications) and all(each["status"] == "RUNNING" for each in applications)

    def proxies(self) -> dict[str, str]:
        """Return each pod's proxy state."""
        details = self._ask("GET") or {"proxies": {}}
        return {each["node_instance_id"]: each["status"] for each in details["proxies"].values()}

    def pods(self, group: str) -> list[Pod]:
        """Return a group's pods."""
        return self.operator.pods(group)

    def head(self) -> Pod:
        """Return the head's pod."""
        return self.pods(HEAD)[0]

    @contextmanager
    def without_head(self) -> Iterator[None]:
        """Kill the head's pod and the autoscaler. A new head starts when the block ends."""
        head = self.head()
        self.operator.hold_head()
        try:
            self.timeline.note("killed", head.name)
            head.kill()
            self._sidecar.kill()
            yield
        finally:
            self.operator.release_head()

    def wait_for(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """Poll until a condition holds, because a cluster's parts send no events."""
        end_s = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end_s, f"{what}: not within {limit_s:.0f} s\n{self.state()}"
            time.sleep(_POLL_S)

    def state(self) -> str:
        """Return the cluster's state, for failure messages."""
        pods = [f"{pod.name}: {pod.last_output}" for pod in self.operator.pods()]
        details = [
            f"{app['status']} {app['message']} "
            + str({name: (d["status"], d["message"]) for name, d in app["deployments"].items()})
            for app in self._applications()
        ]
        return "\n".join([str(self.timeline), *pods, *details, str(self.replicas()), str(self.proxies())])

    def _applications(self) -> list[Document]:
        details = self._ask("GET")
        return [] if details is None else list(details["applications"].values())

    def _ask(self, method: str, document: Document | None = None) -> Any:
        """Send a request to the dashboard, and return its answer, or None if it does not answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.machine.dashboard_port}/api/serve/applications/",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_LIMIT_S) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            assert error.code != 400, error.read().decode()
            return None
        except OSError:
            return None
        return json.loads(body) if body else {}


@contextmanager
def emulated(service: Document, folder: Path) -> Iterator[Emulated]:
    """Run a RayService during the block. All processes and files are removed at the end."""
    directory = runtime_directory()
    mark = f"{_MARK}={directory.name}"
    timeline = Timeline()
    try:
        with redis_server(folder) as redis:
            machine = Machine(free_ports(), directory, _environment(redis, mark))
            cluster = ray_cluster(service, NAME, NAMESPACE)
            operator = Operator(cluster, groups_of(service), machine, timeline)
            try:
                write_certificates(directory)
                with (
                    kubernetes_api(OneCluster(operator), directory) as port,
                    autoscaler(operator, machine, port) as sidecar,
                ):
                    kubectl = kubectl_environment(directory, port, NAMESPACE)
                    yield Emulated(service, operator, sidecar, machine, timeline, kubectl)
            finally:
                operator.close()
                timeline.write()
    finally:
        trees.kill(trees.marked(mark))
        shutil.rmtree(directory, ignore_errors=True)


def _environment(redis: RedisServer, mark: str) -> dict[str, str]:
    """Return the environment that gcsFaultToleranceOptions adds to pods, and the mark by which processes are found."""
    name, _, value = mark.partition("=")
    return {
        "RAY_REDIS_ADDRESS": f"127.0.0.1:{redis.port}",
        "RAY_external_storage_namespace": value,
        name: value,
    }
