"""A Kubernetes API over mutual TLS, for kubectl and Ray's autoscaler. The caller supplies its objects."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.k8s.emulation.json_patch import PatchFailed
from tests.k8s.emulation.manifest import Document
from tests.k8s.emulation.operator import Operator

Answer = tuple[int, Document]
_POLL_S = 0.02
JSON_PATCH = "application/json-patch+json"
RESOURCES = {
    "api/v1": {"pods": "Pod"},
    "apis/ray.io/v1": {"rayclusters": "RayCluster", "rayservices": "RayService"},
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the API.

    Attributes:
        name: the object, or None for all objects of the resource.
        query: the URL's parameters.
        operations: the JSON patch's operations.
    """

    method: str
    resource: str
    namespace: str
    name: str | None
    query: dict[str, list[str]]
    operations: list[dict[str, Any]]


class Held(Protocol):
    """The objects behind an API."""

    def answer(self, request: Request) -> Answer:
        """Return the status and the body."""


def failure(status: int, reason: str, message: str) -> Answer:
    """Return an error as the API server writes it."""
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return status, document | {"message": message, "reason": reason, "code": status}


class OneCluster:
    """An emulated operator's RayCluster and pods, with a RayService of the same name."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def answer(self, request: Request) -> Answer:
        cluster = self._operator.cluster
        metadata = cluster["metadata"]
        match (request.method, request.resource, request.name):
            case ("GET", "rayclusters", name) if name == metadata["name"]:
                return 200, cluster
            case ("GET", "rayservices", name) if name == metadata["name"]:
                status = {"activeServiceStatus": {"rayClusterName": name}}
                spec = {"rayClusterConfig": cluster["spec"]}
                return 200, cluster | {"kind": "RayService", "spec": spec, "status": status}
            case ("GET", "pods", None):
                assert request.query["labelSelector"] == [f"ray.io/cluster={metadata['name']}"], request
                version = {"resourceVersion": metadata["resourceVersion"]}
                return 200, {"metadata": version, "items": self._operator.pod_objects()}
            case ("GET", "pods", name):
                pods = [pod for pod in self._operator.pod_objects() if pod["metadata"]["name"] == name]
                return (200, pods[0]) if pods else failure(404, "NotFound", f"pods {name!r} not found")
            case ("PATCH", "rayclusters", name) if name == metadata["name"]:
                try:
                    return 200, self._operator.patch(request.operations)
                except PatchFailed as error:
                    return failure(422, "Invalid", str(error))
        return failure(404, "NotFound", f"{request.resource} {request.name!r} not found")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Each answer is sent at once, without waiting for the client's acknowledgement of earlier data.
    wbufsize = -1
    disable_nagle_algorithm = True
    held: Held  # set in the subclass that ``kubernetes_api`` makes

    def do_GET(self) -> None:
        self._answer(*self._answered([]))

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-type"] != JSON_PATCH:
            self._answer(*failure(415, "UnsupportedMediaType", self.headers["content-type"]))
        else:
            self._answer(*self._answered(json.loads(body)))

    def _answered(self, operations: list[dict[str, Any]]) -> Answer:
        url = urlsplit(self.path)
        path = url.path.strip("/")
        for prefix, resources in RESOURCES.items():
            match path.removeprefix(f"{prefix}/").split("/"):
                case ["namespaces", namespace, resource, *name] if resource in resources and len(name) <= 1:
                    query = parse_qs(url.query)
                    object_name = name[0] if name else None
                    return self.held.answer(
                        Request(self.command, resource, namespace, object_name, query, operations)
                    )
        document = _discovery().get(path)
        return failure(404, "NotFound", f"/{path} not found") if document is None else (200, document)

    def _answer(self, status: int, document: Document) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def _discovery() -> dict[str, Document]:
    """Return the documents that kubectl requests to discover resources."""
    ray = {"groupVersion": "ray.io/v1", "version": "v1"}
    documents: dict[str, Document] = {
        "api": {"kind": "APIVersions", "versions": ["v1"]},
        "apis": {
            "kind": "APIGroupList",
            "groups": [{"name": "ray.io", "versions": [ray], "preferredVersion": ray}],
        },
    }
    for prefix, kinds in RESOURCES.items():
        resources = [
            {
                "name": name,
                "singularName": kind.lower(),
                "kind": kind,
                "namespaced": True,
                "verbs": ["get", "list", "patch"],
            }
            for name, kind in kinds.items()
        ]
        version = prefix.partition("/")[2]
        documents[prefix] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    return documents


@contextmanager
def kubernetes_api(held: Held, certificates: Path) -> Iterator[int]:
    """Serve on a free loopback port, only to clients with a certificate signed by ca.pem. Yield the port."""
    handler = type("Handler", (_Handler,), {"held": held})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL_S,), name="kubernetes api", daemon=True
    )
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def kubectl_environment(certificates: Path, port: int, namespace: str) -> dict[str, str]:
    """Write a kubeconfig for the API on this port, and return the environment in which kubectl uses it."""
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(certificates / "ca.pem")}
    user = {
        "client-certificate": str(certificates / "server.pem"),
        "client-key": str(certificates / "server.key"),
    }
    context = {"cluster": "emulated", "user": "sre", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "emulated", "cluster": server}],
        "users": [{"name": "sre", "user": user}],
        "contexts": [{"name": "emulated", "context": context}],
        "current-context": "emulated",
    }
    path = certificates / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return {"KUBECONFIG": str(path), "KUBECACHEDIR": str(certificates / "cache")}
