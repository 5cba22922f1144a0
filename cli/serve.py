"""``rankway serve CONFIG``: serve a pipeline over HTTP on this machine until Ctrl-C."""

import os
import shlex
import signal
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console

from cli.address import with_address
from cli.ask.command_line import ask_command
from cli.errors import exit_on_error, print_warning
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError, StartFailed
from services.paths import home_directory
from services.releases.staging import ReleaseFolder

_STOPPED_EARLY = 130  # the status that a shell reports for a command ended by Ctrl-C


def serve(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of http.port.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind, instead of http.host.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="If the start fails, print the whole report of Ray Serve.")
    ] = False,
) -> None:
    """Serve a pipeline over HTTP until Ctrl-C or SIGTERM.

    When it is ready, print its address and an example request to stdout. Everything else goes to stderr.
    """
    # Without a terminal, a line is never wrapped.
    console = Console(stderr=True, soft_wrap=True)
    stop = threading.Event()
    _stop_at_signals(stop)
    with exit_on_error(console):
        written = load_config(config)
        pipeline = with_address(written, host, port)
        ask = ask_command(config, written.http, pipeline.http)
        try:
            _run(pipeline, config, console, stop, ask)
        except StartFailed as error:
            if error.report and verbose:
                console.print(error.report, markup=False, highlight=False)
            elif error.report:
                error.add_note("`rankway serve --verbose` prints the traceback")
            raise
        except SystemExit as error:
            if error.code != signal.SIGTERM:  # the status of Ray's own handler, which it sets while it starts
                raise
            raise typer.Exit(_STOPPED_EARLY) from error


def _run(
    pipeline: PipelineConfig, file: Path, console: Console, stop: threading.Event, ask_command: str
) -> None:
    from services.config.runtimes import resolved
    from services.deployment.advice import delta_warnings, log_warnings, release_warnings, store_warnings
    from services.deployment.check import Preflight
    from services.deployment.deploy import deploy
    from services.deployment.discovery import publish_address
    from services.deployment.example_request import example_request
    from services.deployment.local_cluster import local_cluster, refuse_taken_port
    from services.deployment.open_ports import exposed_ports

    home = home_directory()
    configured = pipeline
    releases = ReleaseFolder(home, pipeline.name, pipeline.trust)
    active = releases.history.active()
    pipeline = resolved(pipeline, home)
    served = releases.applied(pipeline, active)
    preflight = Preflight(served, home)
    faults = preflight.faults(opens="small")
    if faults:
        raise ConfigError("\n".join(faults))
    refuse_taken_port(pipeline.http)
    changed = [f"release {active}: {line}" for line in releases.differences(pipeline, active)]
    for warning in [
        *release_warnings(configured, file, home),
        *changed,
        *store_warnings(preflight),
        *log_warnings(preflight),
        *delta_warnings(preflight),
    ]:
        print_warning(console, warning)
    example = example_request(served, home, preflight.catalogue, preflight.definitions)
    url = f"http://{pipeline.http.host}:{pipeline.http.port}"
    stdout = sys.stdout
    if stop.is_set():
        raise typer.Exit(_STOPPED_EARLY)
    with (
        redirect_stdout(sys.stderr),  # for Ray, which prints to stdout
        console.status("starting Ray and Serve") as status,
        local_cluster(pipeline) as ports,
    ):

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
        curl = f"curl -s {url}/v1/rank -d {shlex.quote(example)}"
        _announce(
            stdout,
            f"{pipeline.name} is ready at {url}. Try it:\n  {curl}\nOr as a table:\n  {ask_command}\n",
        )
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


def _announce(stdout: TextIO, text: str) -> None:
    """Write to stdout. A reader that has closed the pipe, such as ``head -1``, does not end the service."""
    try:
        stdout.write(text)
        stdout.flush()
    except BrokenPipeError:
        # Otherwise Python reports the error at exit, when it flushes stdout again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())


def _stop_at_signals(stop: threading.Event) -> None:
    """Set ``stop`` on Ctrl-C and SIGTERM, so that the service shuts down in order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
