"""Ray and Serve on this machine for one pipeline, with their own ports and files."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from io import StringIO

import ray
from ray import serve

from services.autoscaling.spec import lowered
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, all_placements
from services.config.units import HttpConfig
from services.deployment.ray_settings import (
    ServicePorts,
    apply_settings,
    free_ports,
    local_settings,
    runtime_directory,
    throughput_settings,
)
from services.errors import ConfigError
from services.paths import PACKAGES
from services.ray_internals.cluster import start_local_ray
from services.sharding.actors import bundles


@contextmanager
def local_cluster(config: PipelineConfig) -> Iterator[ServicePorts]:
    """Start Ray and Serve on this machine with their own ports and files. Remove everything after the block."""
    directory = runtime_directory()
    try:
        ports = free_ports()
        apply_settings(throughput_settings())
        os.environ.update(local_settings(ports, directory))  # overwrites an earlier service's settings
        cpus = sum(
            bundle["CPU"] * _most_replicas(config, placed)
            for placed in all_placements(config)
            for bundle in bundles(config, placed)
        )
        # Ray puts the current directory first on its workers' path, before Rankway's packages.
        with chdir(PACKAGES):
            # Serve's controller and proxy need no CPU. Twice the CPUs let a second set of replicas start during a
            # replacement.
            start_local_ray(cpus=max(1, round(2 * cpus)), metrics_port=ports.metrics_export)
        try:
            serve.start(
                proxy_location="HeadOnly", http_options={"host": config.http.host, "port": config.http.port}
            )
            yield ports
        finally:
            # Serve's controller ends itself. Ray prints this to stdout as a task that failed.
            with redirect_stdout(StringIO()):
                serve.shutdown()  # type: ignore[no-untyped-call]
                ray.shutdown()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _most_replicas(config: PipelineConfig, placement: Placement) -> int:
    """Return the maximum replica count on this machine: the configured bound, or fewer if the cores limit it."""
    if config.autoscaling is None:
        return placement.replicas
    fitting = int((os.cpu_count() or 1) / placement.cpus) if placement.cpus else placement.replicas
    bound = lowered(config, {}).placed(placement.key).max_replicas
    return max(placement.replicas, min(bound, fitting))


def refuse_taken_port(http: HttpConfig) -> None:
    """Fail before anything is started if the port is in use.

    Raises:
        ConfigError: the port cannot be bound.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((http.host, http.port))
        except OSError as error:
            raise ConfigError(
                f"cannot be bound on {http.host} ({error.strerror}), got {http.port}; stop the process that "
                f"listens there, or choose another port with --port",
                field="http.port",
            ) from error
