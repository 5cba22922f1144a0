"""``rankway models compress RECIPE``: make a model smaller and faster, and measure each step."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.build import timelines_of
from cli.errors import FAILED, exit_on_error, print_error
from cli.progress import shown_progress
from models.atomic_directory import recover, settled
from models.errors import CompressionError
from models.extras import require
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.paths import home_directory
from services.stages.features import load_definitions

if TYPE_CHECKING:
    from models.compress.recipe import Recipe
    from models.compress.rows import Result

_WIDTH = 200
"""The largest width of the tables if they are not printed to a terminal."""
_LINE_EVERY_S = 30.0
"""Seconds between two progress lines of one phase of a step, if they are not printed to a terminal."""


def compress(
    recipe: Annotated[Path, typer.Argument(help="Recipe YAML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compress a model with the steps of a recipe, and write a report. An interrupted run resumes.

    Each step is measured against its parent and the original. A step that is too slow or
    too inaccurate is rejected.
    """
    require(["torch", "accelerate", "onnx"], "train")
    from safetensors import SafetensorError  # raised if the disk fills up while weights are written

    from models.compress.recipe import load_recipe
    from models.compress.report.files import json_report

    console = Console(stderr=True)
    remedy = (
        f"finished steps are kept; make room under {home_directory()}, or allow this user to write there, and run the "
        f"command again"
    )
    with exit_on_error(console, OSError, SafetensorError, remedy=remedy, exit_code=FAILED):
        loaded = load_recipe(recipe)
        report, result = _run(loaded, console)
    if as_json:
        typer.echo(json_report(result), nl=False)
    else:
        _show(result)
    failed = [row for row in result.steps if row.state == "failed"]
    for row in failed:
        print_error(console, f"{row.label}: {row.reason}")
    console.print(f"report: {report}", soft_wrap=True, highlight=False)
    if failed:
        raise typer.Exit(FAILED)


def _run(recipe: "Recipe", console: Console) -> "tuple[Path, Result]":
    import torch

    from cli.models.recipe_data import lists_folder, open_data
    from models.compress.chain import Chain
    from models.compress.measuring.measure import Meter
    from models.compress.report.files import HTML_REPORT, write_report
    from models.compress.running.originals import kept_original
    from models.compress.running.places import recipe_folder

    home, pipeline = home_directory(), load_config(Path(recipe.pipeline))
    if recipe.model not in pipeline.models:
        raise CompressionError(
            f"model: unknown model of pipeline {pipeline.name}, got {recipe.model!r}; name one of "
            f"{', '.join(sorted(pipeline.models))}"
        )
    root = home / pipeline.models[recipe.model].artifact
    lists, catalogue = lists_folder(recipe, pipeline, home), home / pipeline.catalogue
    read = {"the model": root, "the catalogue": catalogue, "the training data": lists}
    served = {f"the model {name}": home / model.artifact for name, model in pipeline.models.items()}
    del served[f"the model {recipe.model}"]
    out = recipe_folder(recipe.out, home, {**read, **_others(pipeline, home)}, served)
    for folder in (root, *read.values(), lists / "train", lists / "valid"):
        recover(folder)
    features = load_definitions(home / pipeline.features.definitions)
    original = kept_original(root, out, features.content_hash)
    torch.set_num_threads(recipe.threads)
    with shown_progress(console, "steps", others_every_s=_LINE_EVERY_S) as progress:
        data = open_data(recipe, pipeline, home, features, original, out / ".scores", progress)
        meter = Meter(recipe.measure, data, original)
        chain = Chain(recipe, home, original, data, meter, progress, own_folder=settled(root))
        result = chain.run(report=lambda result: write_report(out, result))
    return out / HTML_REPORT, result


def _others(pipeline: PipelineConfig, home: Path) -> dict[str, Path]:
    """Return the folders of a pipeline's data besides its models, its catalogue and its lists."""
    features, timelines = pipeline.features, timelines_of(pipeline, home)
    places = {
        "the deltas": pipeline.deltas_folder,
        "the overlay": features.overlay,
        "the live item features": features.live,
        "the feature store": getattr(features.store, "path", None),  # not all kinds have one
        "the log": None if pipeline.log is None else pipeline.log.path,
        "the recorded traffic": None if pipeline.record is None else pipeline.record.path,
    }
    folders = {
        what: home / place
        for what, place in places.items()
        if isinstance(place, str) and "://" not in place and "::" not in place
    }
    return folders if timelines is None else {**folders, "the timelines": timelines}


def _show(result: "Result") -> None:
    from models.compress.report.terminal import terminal_text

    console = Console()
    width = console.width if console.is_terminal else _WIDTH
    console.print(terminal_text(result, width), soft_wrap=True, highlight=False, markup=False)
