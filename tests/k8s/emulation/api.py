"""A Kubernetes API of one RayCluster and its pods, as Ray's autoscaler reads and patches them: TLS both ways."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.k8s.emulation.operator import Operator

_REFUSED = 422


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    operator: Operator  # of the subclass that ``http_api`` makes

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        cluster = self.operator.cluster
        namespace, name = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
        pods = f"/api/v1/namespaces/{namespace}/pods"
        if url.path == f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters/{name}":
            self._answer(200, cluster)
        elif url.path == pods:
            assert parse_qs(url.query)["labelSelector"] == [f"ray.io/cluster={name}"], url.query
            version = cluster["metadata"]["resourceVersion"]
            self._answer(
                200, {"metadata": {"resourceVersion": version}, "items": self.operator.pod_objects()}
            )
        else:
            found = [
                pod for pod in self.operator.pod_objects() if url.path == f"{pods}/{pod['metadata']['name']}"
            ]
            self._answer(200, found[0]) if found else self._answer(404, {"message": f"{url.path} not found"})

    def do_PATCH(self) -> None:
        operations = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            self._answer(200, self.operator.patch(operations))
        except (KeyError, IndexError, ValueError) as error:
            self._answer(_REFUSED, {"message": f"the patch does not apply: {error!r}"})

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def kubernetes_api(operator: Operator, certificates: Path) -> Iterator[int]:
    """Serve on a free port of loopback, to those who show a certificate of ca.pem alone; give the port."""
    handler = type("Handler", (_Handler,), {"operator": operator})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="kubernetes api", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
