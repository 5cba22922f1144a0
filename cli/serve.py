"""``rankway serve CONFIG``: serve a pipeline over HTTP on this machine until Ctrl-C."""

import json
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.errors import exit_on_error, print_warning
from services.config.loading import load_config, validated
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.paths import home_directory
from services.releases.staging import ReleaseFolder

_STOPPED_EARLY = 130  # the status that a shell reports for a command ended by Ctrl-C


def serve(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of http.port.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind, instead of http.host.")] = None,
) -> None:
    """Serve a pipeline over HTTP until Ctrl-C or SIGTERM."""
    console = Console(stderr=True)
    stop = threading.Event()
    _stop_at_signals(stop)
    with exit_on_error(console):
        pipeline = _with_address(load_config(config), host, port)
        _run(pipeline, console, stop)


def _run(pipeline: PipelineConfig, console: Console, stop: threading.Event) -> None:
    from services.config.runtimes import resolved
    from services.deployment.advice import store_warnings
    from services.deployment.check import Preflight
    from services.deployment.deploy import deploy
    from services.deployment.discovery import publish_address
    from services.deployment.local_cluster import local_cluster, refuse_taken_port
    from services.deployment.open_ports import exposed_ports

    home = home_directory()
    pipeline = resolved(pipeline, home)
    releases = ReleaseFolder(home, pipeline.name, pipeline.trust)
    active = releases.history.active()
    served = releases.applied(pipeline, active)
    preflight = Preflight(served, home)
    faults = preflight.faults()
    if faults:
        raise ConfigError("\n".join(faults))
    refuse_taken_port(pipeline.http)
    changed = [f"release {active}: {line}" for line in releases.differences(pipeline, active)]
    for warning in [*changed, *store_warnings(preflight)]:
        print_warning(console, warning)
    url = f"http://{pipeline.http.host}:{pipeline.http.port}"
    with console.status("starting Ray and Serve") as status, local_cluster(pipeline) as ports:
        _stop_at_signals(stop)  # again, because Ray replaces the SIGTERM handler with one that aborts

        def on_status(text: str) -> None:
            if stop.is_set():  # do not wait for the replicas after Ctrl-C
                raise typer.Exit(_STOPPED_EARLY)
            status.update(f"loading and warming replicas: {text}")

        fast = deploy(pipeline, home, on_status)
        status.stop()
        if not fast:
            console.print(
                "[yellow]requests take Serve's slower path, not the fast path; see the replicas' logs[/]"
            )
        body = json.dumps({"user_id": "u-000001", "k": 3})
        console.print(f"{pipeline.name} is ready at {url}. Try it:", highlight=False)
        console.print(f"  curl -s {url}/v1/rank -d '{body}'", highlight=False, soft_wrap=True)
        console.print(f"Prometheus metrics: http://127.0.0.1:{ports.metrics_export}/metrics", highlight=False)
        open_beyond = exposed_ports()
        if open_beyond:
            listed = ", ".join(f"{number} ({owner})" for number, owner in open_beyond)
            console.print(
                f"These ports are open beyond loopback; close them in the firewall: {listed}", highlight=False
            )
        with publish_address(pipeline, home):
            console.print("Ctrl-C stops it.", highlight=False)
            stop.wait()
        console.print("stopping", highlight=False)


def _stop_at_signals(stop: threading.Event) -> None:
    """Set ``stop`` on Ctrl-C and SIGTERM, so that the service shuts down in order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())


def _with_address(pipeline: PipelineConfig, host: str | None, port: int | None) -> PipelineConfig:
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    data = pipeline.model_dump(mode="json")
    data["http"].update(changes)
    return validated(data, "command line")
