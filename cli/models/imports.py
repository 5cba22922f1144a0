"""``rankway models import SOURCE``: make an artifact from a model that was trained elsewhere."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.errors import exit_on_error
from cli.models.graph_import import Wishes, import_graph
from cli.models.import_target import place_of
from cli.models.runtime_choice import as_document
from cli.models.text_import import import_text
from models.importing.formats import format_of
from models.importing.matching import ImportLayout, parse_inputs
from services.errors import ConfigError


def import_model(
    source: Annotated[
        Path,
        typer.Argument(
            help="An ONNX graph, LightGBM text, XGBoost JSON, a skops or safetensors file, or a Hugging Face folder."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Argument(
            help="Folder for the artifact. An existing one is replaced. Default: the artifact of --model."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Pipeline YAML file, whose features the model reads.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name in the pipeline's `models`.")] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="NAME=SOURCE, or NAME=FEATURE,FEATURE,... for a vector. May be repeated. Default: inputs and columns "
            "are matched to features by name.",
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            help="What replaces a missing number in a vector: nan or a number. Default: as in --trained-on, else nan."
        ),
    ] = None,
    trained_on: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `rankway features export` whose columns the model reads, in their order."
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="ONNX output with the score: NAME, or NAME:COLUMN.")
    ] = None,
    layout: Annotated[
        str, typer.Option(help="Layout of an ONNX graph's inputs: flat, list or chunks.")
    ] = "flat",
    architecture: Annotated[
        Path | None,
        typer.Option(
            help="safetensors: YAML file with the architecture's options, such as an artifact.yaml. Default: the "
            "file's metadata."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Artifact name. Default: the value of --model.")] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face: item text, as details.<property>: a property of the item's GeoJSON details."
        ),
    ] = None,
    query: Annotated[
        str, typer.Option(help="Hugging Face: feature with the query text, as context.<feature>.")
    ] = "context.query",
    max_length: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Hugging Face: most tokens in a query-item pair. Default: the model's limit, at most 512.",
        ),
    ] = None,
    random_head: Annotated[
        bool,
        typer.Option(
            "--random-head",
            help="Hugging Face: add a random classification head to an encoder without one, to train it or measure "
            "speed.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the random head.")] = 0,
    onnx: Annotated[
        bool, typer.Option(help="Hugging Face: also write an ONNX graph, which is faster on CPUs.")
    ] = True,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the result as JSON, with the measured times of the runtimes."),
    ] = False,
) -> None:
    """Make an artifact from a model that was trained elsewhere.

    The format is found from the content. LightGBM, XGBoost and scikit-learn models are converted to ONNX, and their
    scores compared with those of their own library. If LightGBM or XGBoost itself executes the model faster, it
    becomes the artifact's runtime. A Hugging Face model must be a cross-encoder.
    """
    console = Console(stderr=True)
    with exit_on_error(console, OSError):
        kind = format_of(source)
        place = place_of(out, config, model, name)
        if kind == "hugging-face":
            import_text(source, place, text, query, max_length, random_head, seed, onnx, console)
            return
        if place.pipeline is None:
            raise ConfigError(
                f"missing; a model of format {kind} reads features, so name the pipeline with --config and "
                f"--model",
                field="--config",
            )
        if layout not in {"flat", "list", "chunks"}:
            raise ConfigError(f"expected flat, list or chunks, got {layout!r}", field="--layout")
        known_layout: ImportLayout = "flat" if layout == "flat" else "list" if layout == "list" else "chunks"
        imported = import_graph(
            source,
            kind,
            place,
            Wishes(parse_inputs(inputs or ()), missing, trained_on, output, known_layout, architecture),
            console,
        )
    if as_json:
        typer.echo(json.dumps(as_document(imported), indent=1))
