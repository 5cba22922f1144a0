"""``rankway autoscale record``: write recorded traffic as a trace."""

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
    config: Annotated[
        Path, typer.Argument(help="Pipeline YAML file. The traffic in its record.path is read.")
    ],
    path: Annotated[Path, typer.Argument(help="Trace to write, a .parquet file.")],
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1, max=604_800, help="Seconds to wait. Only the traffic that arrives meanwhile is written."
        ),
    ] = None,
    last_s: Annotated[
        float | None, typer.Option(min=1, help="Seconds before now. Only the traffic since then is written.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a running service's recorded traffic, or a part of it, as a trace."""
    console = Console(stderr=True)
    with exit_on_error(console):
        if path.suffix != ".parquet":
            raise TraceError(f"PATH: a recorded trace must be a .parquet file, got {path}")
        recording = load_config(config).record
        if recording is None:
            raise ConfigError(
                f"missing in {config}, which therefore records no traffic; add it with a path", field="record"
            )
        if "://" in recording.path:
            raise ConfigError(
                f"must be a local folder, got {recording.path}; copy the folder to this machine and "
                f"run `rankway autoscale replay` on the copy",
                field="record.path",
            )
        since_s = None if last_s is None else time.time() - last_s
        until_s = None
        if seconds is not None:
            since_s, until_s = time.time(), time.time() + seconds
            # The service writes a file every roll_s. So after this wait, the last traffic of the period is in a file.
            waited = int(seconds + recording.roll_s) + 1
            for _ in track(range(waited), "recording", console=console, transient=True):
                time.sleep(1)
        traffic = read_traffic(home_directory() / recording.path, since_s, until_s)
        count = write_arrivals(traffic.trace.arrivals(), path)
    if as_json:
        typer.echo(json.dumps({"path": str(path), "requests": count, "origin_s": traffic.origin_s}))
    else:
        console.print(f"{path}: {count} requests", markup=False, highlight=False, soft_wrap=True)
