"""Declarative deployment: the Serve config of a pipeline, validated closed, and a local cluster to run it."""

import json
import os
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from pydantic import BaseModel
from ray import serve
from ray.serve.schema import ServeDeploySchema

from services.app import IMPORT_PATH
from services.autoscaling.serve_policy import APPLICATION_POLICY, policy_arguments
from services.autoscaling.spec import lowered, needed_profiles
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, RouterConfig, all_placements, placements
from services.config.units import HttpConfig
from services.deployment.ray_settings import (
    ServicePorts,
    apply_settings,
    free_ports,
    local_settings,
    runtime_directory,
    throughput_settings,
)
from services.errors import ConfigError, ServiceError
from services.ray_internals.cluster import start_local_ray
from services.ray_internals.serve import deploy_document
from services.sharding.actors import bundles, check_placeable

_POLL_PERIOD_S = 0.25
_STARTUP_LIMIT_S = 300.0
_ROUTE_LIMIT_S = 15.0
_FAILED = {"DEPLOY_FAILED", "UNHEALTHY"}


def serve_config(
    config: PipelineConfig, home: Path, *, served_home: Path | None = None, proxy_location: str = "HeadOnly"
) -> dict[str, Any]:
    """Give the multi-application Serve config of the pipeline.

    home: where profiles are read. served_home: where the cluster finds the pipeline's data; ``home`` where not given.
    proxy_location: Serve's; on one machine its only node has the proxy.

    Raises:
        ConfigError: a field that Serve's schema does not know; Serve itself would drop it silently.
        AutoscaleError: the policy looks at profiles, and one is missing or unfit.
    """
    found_at = str(home if served_home is None else served_home)
    application: dict[str, Any] = {
        "name": config.name,
        "route_prefix": "/",
        "import_path": IMPORT_PATH,
        "args": {"config": config.model_dump(mode="json"), "home": found_at},
    }
    if config.autoscaling is not None:
        arguments = policy_arguments(config, needed_profiles(config, home)) | {"home": found_at}
        application["args"]["policy_beside"] = True
        application["autoscaling_policy"] = {
            "policy_function": APPLICATION_POLICY,
            "policy_kwargs": arguments,
        }
    ranker = placements(config, config.unit_of("ranker"))
    if len(ranker) > 1:
        # Beside the arguments, so that a document with other weights alone is taken up without a restart.
        ingress, weights = all_placements(config)[0].deployment, RouterConfig.of(ranker).model_dump()
        application["deployments"] = [{"name": ingress, "user_config": weights}]
    document = {
        "proxy_location": proxy_location,
        "http_options": {"host": config.http.host, "port": config.http.port},
        "logging_config": {"enable_access_log": False},
        "applications": [application],
    }
    refuse_unknown_fields(document, ServeDeploySchema)
    return document


def refuse_unknown_fields(document: Any, schema: Any, where: str = "") -> None:
    """Hold a document against a pydantic model and its nested models, closed.

    Raises:
        ConfigError: a field the model does not declare.
    """
    model = _model_in(schema)
    if model is None:
        return
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, dict):
            continue
        for name, value in item.items():
            if name not in model.model_fields:
                raise ConfigError(
                    f"Serve's {model.__name__} has no field {where}{name}: remove it", field=name
                )
            refuse_unknown_fields(value, model.model_fields[name].annotation, f"{where}{name}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None


@contextmanager
def local_cluster(config: PipelineConfig) -> Iterator[ServicePorts]:
    """Start Ray and Serve on this machine with ports and files of their own; leave nothing behind."""
    directory = runtime_directory()
    try:
        ports = free_ports()
        apply_settings(throughput_settings())
        os.environ.update(local_settings(ports, directory))  # this service's own, whatever one before it had
        cpus = sum(
            bundle["CPU"] * _most_replicas(config, placed)
            for placed in all_placements(config)
            for bundle in bundles(config, placed)
        )
        # Serve's controller and proxy ask for none; a second set of replicas fits while one is replaced.
        start_local_ray(cpus=max(1, round(2 * cpus)), metrics_port=ports.metrics_export)
        try:
            serve.start(
                proxy_location="HeadOnly", http_options={"host": config.http.host, "port": config.http.port}
            )
            yield ports
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _most_replicas(config: PipelineConfig, placement: Placement) -> int:
    """Give how many there may be on this machine: the bound where one is given, but no more than it has cores for."""
    if config.autoscaling is None:
        return placement.replicas
    here = int((os.cpu_count() or 1) / placement.cpus) if placement.cpus else placement.replicas
    bound = lowered(config, {}).placed(placement.key).max_replicas
    return max(placement.replicas, min(bound, here))


def refuse_taken_port(http: HttpConfig) -> None:
    """Fail before anything is started when the port is taken.

    Raises:
        ConfigError: something listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((http.host, http.port))
        except OSError as error:
            raise ConfigError(
                f"http.port {http.port} on {http.host} cannot be bound ({error.strerror}): stop what listens there, "
                f"or choose another with --port",
                field="http.port",
            ) from error


def deploy(
    config: PipelineConfig,
    home: Path,
    on_status: Callable[[str], None],
    document: dict[str, Any] | None = None,
) -> bool:
    """Deploy on the running cluster; wait until every replica is warm and the endpoint answers.

    document: the Serve config; ``serve_config``'s where not given. Gives whether requests take the fast path.

    Raises:
        ConfigError: a shard group finds no place.
        ServiceError: the application failed to start; Serve's message follows.
    """
    check_placeable(config)
    deploy_document(document or serve_config(config, home))
    limit_s = time.monotonic() + _STARTUP_LIMIT_S
    while True:
        application = serve.status().applications.get(config.name)
        if application is not None:
            running = {name: _running(d.replica_states) for name, d in application.deployments.items()}
            on_status(", ".join(f"{name} {count}" for name, count in running.items()) or "starting")
            if application.status == "RUNNING":
                return _wait_for_route(config.http, on_status)
            if application.status in _FAILED:
                details = [d.message for d in application.deployments.values() if d.message]
                raise ServiceError("\n".join([application.message, *details]))
        if time.monotonic() > limit_s:
            raise ServiceError(f"{config.name} did not start within {_STARTUP_LIMIT_S:.0f} s; see Ray's logs")
        time.sleep(_POLL_PERIOD_S)


def _running(states: Mapping[Any, int]) -> int:
    """Serve's own enumeration of states is private; it is one of strings."""
    return next((count for state, count in states.items() if state == "RUNNING"), 0)


def _wait_for_route(http: HttpConfig, on_status: Callable[[str], None]) -> bool:
    """Wait until HAProxy has taken up the replicas; until then Serve's fallback proxy answers."""
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
