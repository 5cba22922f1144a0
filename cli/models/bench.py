"""``rankway models bench CONFIG``: measure a replica for each unit on this machine and write profiles."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from autoscale.profiles import Profile, write_profile
from cli.errors import exit_on_error
from services.config.loading import load_config
from services.config.placement import Placement
from services.errors import ConfigError
from services.paths import home_directory


def bench(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the profiles. Default: profiles/ in the data home.")
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="This machine's pool. Required if a unit is in several pools.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a pipeline's units and write their profiles. This takes a minute or two.

    A profile has a replica's batch times, start-up time, memory and overhead per
    request.
    """
    from services.deployment.check import check_artifacts
    from services.profiling.profile import profiles

    console = Console(stderr=True)
    home = home_directory()
    with exit_on_error(console):
        pipeline = load_config(config)
        # Autoscaling may need the profiles that this command is about to measure, so autoscaling is not checked.
        unscaled = pipeline.model_copy(update={"autoscaling": None})
        faults = check_artifacts(unscaled, home)
        if faults:
            raise ConfigError("\n".join(faults))
        # Ray's own messages go to standard error, so that standard output has only the JSON.
        with console.status("starting") as status, redirect_stdout(sys.stderr):
            measured = profiles(unscaled, home, pool, lambda text: status.update(f"measuring {text}"))
    written = [
        (_write(pipeline.name, placement, profile, out or home / "profiles"), profile)
        for placement, profile in measured
    ]
    if as_json:
        typer.echo(json.dumps([profile.model_dump(mode="json") for _, profile in written], indent=1))
        return
    for path, profile in written:
        _show(path, profile)


def _write(pipeline: str, placement: Placement, profile: Profile, folder: Path) -> Path:
    """Write the profile under the file name in the configuration, or else as ``<pipeline>-<deployment>.json``."""
    file_name = (
        Path(placement.profile).name if placement.profile else f"{pipeline}-{placement.deployment}.json"
    )
    path = folder / file_name
    write_profile(profile, path)
    return path


def _show(path: Path, profile: Profile) -> None:
    console = Console()
    table = Table(
        "requests",
        "candidates",
        "p50 ms",
        "p99 ms",
        "mean ms",
        "runs",
        title=f"{profile.unit}@{profile.pool}",
    )
    for timing in profile.timings:
        cells = (
            timing.requests,
            timing.candidates,
            timing.p50_ms,
            timing.p99_ms,
            timing.mean_ms,
            timing.runs,
        )
        table.add_row(*map(str, cells))
    console.print(table)
    console.print(
        f"start-up {profile.startup_s} s, memory {profile.memory_mib} MiB, batch time in the service "
        f"{profile.served_ratio:.2f} times the time above, and {1 + profile.contention:.2f} times that while "
        f"{profile.neighbours} sibling replicas run, overhead per request {profile.overhead_ms} ms, of which a "
        f"replica is busy {profile.overhead_cpu_ms} ms, fallback model "
        f"{profile.fallback_us_per_candidate} µs per candidate, {profile.machine}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"written to {path}; name the file in units.{profile.unit}.profile", highlight=False, soft_wrap=True
    )
