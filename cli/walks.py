"""`rankway walks`: the reference application's world."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from walks.errors import WalksError
from walks.presets import PresetName
from walks.world import ensure_world

app = typer.Typer(help="The walks application: build its world from the street map.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The walks application: build its world from the street map."""


@app.command()
def build(
    preset: Annotated[PresetName, typer.Option(help="Size of the world.")] = "full",
    home: Annotated[
        Path | None, typer.Option(help="Data home; default $RANKWAY_HOME, else .rankway in the repository.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Build even if the inputs are as they were.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Make routes from the street map, simulate users and ratings; write catalogue and training data."""
    console = Console(stderr=True)
    try:
        manifest, built, root = _build(preset, home, force, console)
    except WalksError as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        return
    counts = manifest["counts"]
    console.print(
        f"{'built' if built else 'up to date'}: {root}\n"
        f"{counts['routes']} routes ({counts['loops']} loops) over {counts['walkable_km']} km of ways;"
        f" simulated: {counts['users']} users, {counts['lists']} lists, {counts['ratings']} ratings\n"
        f"map: {manifest['map']['attribution']}",
        soft_wrap=True,
        highlight=False,
    )


def _build(
    preset: PresetName, home: Path | None, force: bool, console: Console
) -> tuple[dict[str, Any], bool, Path]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("checking", total=None)
        done = 0

        def progress(stage: str, stages: int) -> None:
            nonlocal done
            bar.update(task, description=stage, total=stages, completed=done)
            done += 1

        world, manifest, built = ensure_world(preset, home, force=force, progress=progress)
    return manifest, built, world.root
