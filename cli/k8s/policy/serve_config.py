"""Rules for the Serve config that a RayService contains as text, and how to read it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import yaml

from cli.k8s.policy.objects import Fault, Object, clusters, title

_PROBED_PORT = 8000


def serve_config_is_readable(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require a Serve config that can be read. The API server accepts any text."""
    for service, _ in clusters(objects):
        problem = serve_config_problem(service)
        if problem is not None:
            yield Fault(f"{title(service)} serveConfigV2", problem, "render the RayService again")


def every_node_has_a_proxy(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require a proxy on every node: KubeRay's readiness probe of a worker calls the proxy on the worker's own node."""
    for service, _ in clusters(objects):
        document = serve_document(service)
        location = None if document is None else document.get("proxy_location")
        if document is not None and location != "EveryNode":
            yield Fault(
                f"{title(service)} serveConfigV2 proxy_location",
                f"pods without a proxy never become ready, and all requests pass the head, got {location}",
                "set it to EveryNode",
            )


def endpoint_address_matches_probes(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that the endpoint listens on port 8000 of all addresses, because KubeRay's probes connect there."""
    for service, _ in clusters(objects):
        document = serve_document(service)
        if document is None:
            continue
        options = document.get("http_options") or {}
        host, port = options.get("host"), options.get("port", _PROBED_PORT)
        if host != "0.0.0.0" or port != _PROBED_PORT:
            yield Fault(
                f"{title(service)} serveConfigV2 http_options",
                f"not the address that KubeRay's probes and Services use, got {host}:{port}",
                f"set host 0.0.0.0 and port {_PROBED_PORT}",
            )


def serve_document(service: Object) -> Object | None:
    """Return a RayService's Serve config, or None if it is invalid: see ``serve_config_problem``."""
    return _serve_config(service)[0]


def serve_config_problem(service: Object) -> str | None:
    """Return the reason why a RayService's Serve config cannot be read, or None if it can be read."""
    return _serve_config(service)[1]


def _serve_config(service: Object) -> tuple[Object | None, str | None]:
    text = service["spec"].get("serveConfigV2") or ""
    return _parsed(text) if isinstance(text, str) else (None, f"expected text, got {type(text).__name__}")


@lru_cache(maxsize=16)
def _parsed(text: str) -> tuple[Object | None, str | None]:
    """Parse a Serve config. Return the config, or the problem. The result is cached, because several rules need it."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        return None, f"invalid YAML ({' '.join(str(error).split())})"
    if not isinstance(document, dict):
        return None, f"expected a mapping, got {document!r:.80}"
    options = document.get("http_options")
    if not isinstance(options, dict | None):
        return None, f"http_options: expected a mapping, got {options!r:.80}"
    return document, None
