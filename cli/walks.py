"""``rankway walks``: build the example's world, draw its routes and simulate its events."""

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.errors import exit_on_error
from cli.progress import shown_progress
from models.extras import require
from walks.demo.unpack import unpack_demo
from walks.ensure import ensure_world
from walks.presets import PresetName
from walks.world import data_home, inputs_of, read_manifest, world_at

app = typer.Typer(help="Build and explore the example: walking routes in Helsinki.", no_args_is_help=True)

Preset = Annotated[PresetName, typer.Option(help="World size.")]
Home = Annotated[Path | None, typer.Option(help="Data home. Default: $RANKWAY_HOME, else .rankway.")]


@app.command()
def build(
    preset: Preset = "full",
    home: Home = None,
    force: Annotated[bool, typer.Option("--force", help="Build even if the inputs are unchanged.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Build routes from the street map, simulate users and ratings, and write catalogue and training data."""
    console = Console(stderr=True)
    with _exit_on_error(console):
        manifest, built, root = _build(preset, home, force, console)
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


@app.command()
def demo(home: Home = None) -> None:
    """Put the small world that ships with Rankway into the data home, for configs/demo.yaml."""
    console = Console(stderr=True)
    with _exit_on_error(console):
        world, unpacked = unpack_demo(home)
        manifest = read_manifest(world)
    assert manifest is not None, "every archive has a manifest"
    console.print(
        f"{'unpacked' if unpacked else 'up to date'}: {world.root}\n"
        f"{manifest['counts']['routes']} routes, {manifest['shipped_users']} simulated users and trained models\n"
        f"map: {manifest['map']['attribution']}",
        soft_wrap=True,
        highlight=False,
    )


@app.command()
def show(
    route_id: Annotated[str, typer.Argument(metavar="ID", help="Route id, as in answers.")],
    out: Annotated[Path | None, typer.Option(help="PNG file to write. Default: ID.png.")] = None,
    preset: Preset = "full",
    home: Home = None,
) -> None:
    """Draw a route on the street map as a PNG, and print its description."""
    console = Console(stderr=True)
    with _exit_on_error(console):
        from walks.map.picture import draw_route, find_route  # imported here, because it loads matplotlib

        feature = find_route(world_at(preset, home), route_id)
        picture = out or Path(f"{route_id}.png")
        if not picture.parent.is_dir() or picture.is_dir():
            raise typer.BadParameter(
                f"--out: must be a file in an existing folder, got {picture}; create the folder first"
            )
        draw_route(feature, inputs_of(preset, home).map, picture)
    sys.stdout.write(f"{feature['properties']['name']}\n{feature['properties']['description']}\n{picture}\n")


@app.command("text-ranker")
def text_ranker(
    preset: Preset = "full",
    home: Home = None,
    lists: Annotated[int, typer.Option(min=4, help="Number of synthetic training queries.")] = 960,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Train MiniLM to match words with routes, on synthetic queries.

    The pipeline configs/walks-text.yaml uses the trained model.
    """
    console = Console(stderr=True)
    with _exit_on_error(console):
        require(["tokenizers", "transformers", "torch", "onnx"], "text,train")
        from walks.text.text_ranker import Fit, train_text_ranker  # imported here, because it loads torch

        root = data_home(home) / "walks" / "models" / "text"
        with shown_progress(console, "training") as report:

            def progress(done: int, total: int, loss: float) -> None:
                report("training", done, total, f"loss {loss:.3f}" + (", measuring" if done == total else ""))

            wheels = data_home(home) / "data-wheels"
            artifact = train_text_ranker(
                world_at(preset, home), inputs_of(preset, home), root, Fit(lists=lists), wheels, progress
            )
    if as_json:
        sys.stdout.write(json.dumps(artifact.metrics, indent=2) + "\n")
        return
    console.print(f"{artifact.name} {artifact.version}: {root}", soft_wrap=True, highlight=False)
    for name, value in artifact.metrics.items():
        console.print(f"  {name:<24} {value:.4f}", highlight=False)


@app.command("simulate")
def simulate_events(
    events: Annotated[bool, typer.Option("--events", help="Print events, one JSON object per line.")],
    users: Annotated[int, typer.Option(min=1, help="Number of users to simulate.")] = 100,
    hours: Annotated[int, typer.Option(min=1, help="Simulated hours.")] = 24,
    rate: Annotated[float, typer.Option(min=1e-3, max=24.0, help="Mean visits per user and day.")] = 1.0,
    speed: Annotated[
        float, typer.Option(min=0.0, help="Simulated seconds per real second. 0: as fast as possible.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 1,
    preset: Preset = "full",
    home: Home = None,
) -> None:
    """Simulate people, beginning at the world's present time. Print their positions and feedback, ordered by time."""
    console = Console(stderr=True)
    if not events:
        raise typer.BadParameter("nothing to simulate; add --events")
    with _exit_on_error(console):
        from walks.data.stream import events_ahead, paced
        from walks.simulation.scene import Scene  # imported here, because these imports load scipy

        scene, config = Scene.load(world_at(preset, home).scene), inputs_of(preset, home).config
        stream = events_ahead(scene, config, users=users, hours=hours, visits_per_day=rate, seed=seed)
        try:
            for event in paced(stream, speed):
                sys.stdout.write(json.dumps(event) + "\n")
                if speed:
                    sys.stdout.flush()
        except BrokenPipeError:
            sys.stderr.close()  # the reader closed the pipe; Python would print an error about it at exit


def _exit_on_error(console: Console) -> AbstractContextManager[None]:
    """Report an error in the data, the store or the disk, and exit."""
    return exit_on_error(
        console, OSError, remedy="make room there, or choose another writable path with --home or --out"
    )


def _build(
    preset: PresetName, home: Path | None, force: bool, console: Console
) -> tuple[dict[str, Any], bool, Path]:
    with shown_progress(console) as report:
        done = 0

        def begin(stage: str, stages: int) -> None:
            nonlocal done
            report("world", done, stages, stage)
            done += 1

        world, manifest, built = ensure_world(preset, home, force=force, progress=begin)
        if built:
            report("world", done, done, "in place")
    return manifest, built, world.root
