"""``rankway autoscale record``: what a service recorded, as a trace."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from autoscale.errors import TraceError
from autoscale.traces.recorded_traffic import read_traffic
from autoscale.traces.writing import write_arrivals
from cli.errors import exit_on_error
from services.config.loading import load_config
from services.errors import ConfigError
from services.paths import home_directory


def record(
    config: Annotated[Path, typer.Argument(help="The pipeline's YAML; its record.path is read.")],
    path: Annotated[Path, typer.Argument(help="The trace to write: .parquet.")],
    seconds: Annotated[
        float | None, typer.Option(min=1, max=604_800, help="Waits so long, and takes what came meanwhile.")
    ] = None,
    last_s: Annotated[float | None, typer.Option(min=1, help="Takes the last so many seconds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write what came to a running service as a trace: all that it recorded, or a stretch of it."""
    console = Console(stderr=True)
    with exit_on_error(console):
        if path.suffix != ".parquet":
            raise TraceError(f"{path}: recorded traces are .parquet; name it so")
        recording = load_config(config).record
        if recording is None:
            raise ConfigError(f"{config} records nothing: add record: {{path: FOLDER}}", field="record")
        if "://" in recording.path:
            raise ConfigError(
                f"record.path {recording.path} is no folder of this machine: copy it here, and call replay on that",
                field="record.path",
            )
        since_s = None if last_s is None else time.time() - last_s
        until_s = None
        if seconds is not None:
            since_s, until_s = time.time(), time.time() + seconds
            # A file is written once its time is over: what came at the end is there by then.
            waited = int(seconds + recording.roll_s) + 1
            for _ in track(range(waited), "recording", console=console, transient=True):
                time.sleep(1)
        traffic = read_traffic(home_directory() / recording.path, since_s, until_s)
        number = write_arrivals(traffic.trace.arrivals(), path)
    if as_json:
        typer.echo(json.dumps({"path": str(path), "requests": number, "origin_s": traffic.origin_s}))
    else:
        console.print(f"{path}: {number} requests", markup=False, highlight=False, soft_wrap=True)
