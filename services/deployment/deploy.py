"""Deploy a pipeline on the running cluster."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import serve

from services.config.pipeline import PipelineConfig
from services.config.units import HttpConfig
from services.deployment.local_nodes import check_local_nodes
from services.deployment.serve_config import serve_config
from services.deployment.start_errors import StartError, start_error
from services.errors import StartFailed
from services.ray_internals.serve import deploy_document
from services.sharding.actors import check_placeable

_POLL_PERIOD_S = 0.25
_STARTUP_LIMIT_S = 300.0
_ROUTE_LIMIT_S = 15.0
_FAILED = {"DEPLOY_FAILED", "UNHEALTHY"}


def deploy(
    config: PipelineConfig,
    home: Path,
    on_status: Callable[[str], None],
    document: dict[str, Any] | None = None,
) -> bool:
    """Deploy the pipeline, and wait until every replica is warm and the endpoint answers.

    Args:
        config: the pipeline.
        home: the data home.
        on_status: called with a text about the progress.
        document: the Serve config. The default is ``serve_config``'s result.

    Returns:
        Whether requests take the fast path (``services/ingress/fast_path.py``).

    Raises:
        ConfigError: a shard group does not fit the cluster, or no node has what a replica needs.
        StartFailed: the application did not start.
    """
    check_placeable(config)
    check_local_nodes(config)
    deploy_document(document or serve_config(config, home))
    limit_s = time.monotonic() + _STARTUP_LIMIT_S
    while True:
        application = serve.status().applications.get(config.name)
        if application is not None:
            running = {name: _running(d.replica_states) for name, d in application.deployments.items()}
            on_status(", ".join(f"{name} {count}" for name, count in running.items()) or "starting")
            if application.status == "RUNNING":
                return _wait_for_route(config.http, on_status)
            messages = [d.message for d in application.deployments.values() if d.message]
            if application.status in _FAILED:
                raise _failure(config.name, [application.message, *messages])
            if any(
                error.is_permanent for error in _causes(messages)
            ):  # do not wait for Serve's further attempts
                raise _failure(config.name, messages)
        if time.monotonic() > limit_s:
            raise StartFailed(f"{config.name} did not start within {_STARTUP_LIMIT_S:.0f} s; see Ray's logs")
        time.sleep(_POLL_PERIOD_S)


def _causes(messages: Iterable[str]) -> list[StartError]:
    return [error for error in map(start_error, messages) if error is not None]


def _failure(name: str, messages: Sequence[str]) -> StartFailed:
    causes = dict.fromkeys(error.text for error in _causes(messages))
    whole = "\n".join(messages)
    if not causes:
        return StartFailed(f"{name} did not start: {whole}")
    failure = StartFailed("\n".join(causes))
    failure.report = whole
    return failure


def _running(states: Mapping[Any, int]) -> int:
    """Return the number of running replicas. States are compared as strings, because their type is private in Serve."""
    return next((count for state, count in states.items() if state == "RUNNING"), 0)


def _wait_for_route(http: HttpConfig, on_status: Callable[[str], None]) -> bool:
    """Wait until HAProxy routes to the replicas. Until then Serve's fallback proxy answers.

    Returns:
        Whether HAProxy began to route to the replicas within the time limit.
    """
    limit_s = time.monotonic() + _ROUTE_LIMIT_S
    host = "127.0.0.1" if http.host == "0.0.0.0" else http.host
    while True:
        try:
            with urllib.request.urlopen(f"http://{host}:{http.port}/readyz", timeout=2) as answer:
                fast: bool = json.load(answer)["fast_path"]
        except (OSError, ValueError):
            fast = False
        if fast or time.monotonic() > limit_s:
            return fast
        on_status("routing")
        time.sleep(_POLL_PERIOD_S)
