"""``rankway features export CONFIG OUT``: training data as vectors, for models that are trained elsewhere."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.build import timelines_of
from cli.errors import exit_on_error
from cli.models.graph_import import missing_number
from cli.own_log import own_log
from cli.progress import shown_progress
from models.artifact import Artifact
from models.atomic_directory import settled
from models.errors import SignatureError
from models.features.timelines import ItemTimelines
from models.importing.known_features import KnownFeatures
from models.training.vector_data import VectorData
from models.vectors import VectorBuilder, VectorSpec
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.examples import opened
from services.errors import ConfigError
from services.paths import home_directory
from services.stages.features import open_view


def export(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file with a part `training`.")],
    out: Annotated[
        Path, typer.Argument(help="Folder for the Parquet files. An earlier export there is replaced.")
    ],
    features: Annotated[
        str | None,
        typer.Option(
            help="Features of the vector, in order: item.price,user.age,... Default: all with a fixed shape."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Export the vector that this model of the pipeline reads.")
    ] = None,
    missing: Annotated[str, typer.Option(help="What replaces a missing number: nan or a number.")] = "nan",
    from_log: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-log",
            help="Export this served log: Parquet files, or folders of Parquet files. May be repeated.",
        ),
    ] = None,
) -> None:
    """Write training data as vectors: train.parquet and valid.parquet, one row per candidate.

    The columns are the list's number, the item's id, its label, and one column per number of the vector. Serving builds
    the same vectors, bit for bit.
    """
    from models.training.vector_export import KEYS, refuse_other_folder, write_vectors

    console = Console(stderr=True)
    with exit_on_error(console, OSError):
        pipeline, home = load_config(config), home_directory()
        refuse_other_folder(out)
        definitions, catalogue = opened(pipeline, home)
        training = pipeline.training
        if training is None:
            raise ConfigError(
                f"missing in pipeline {pipeline.name}; add it to the YAML",
                field="training",
            )
        known = KnownFeatures(definitions, catalogue)
        spec = _spec(pipeline, home, known, features, model, missing)
        names = known.vector_names(spec.features, field="--features")
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise SignatureError(f"--features: {repeated[0]} is given twice; name each feature once")
        folder = home / training.data
        if training.events is not None and not training.events.has_lists and not from_log:
            from_log = [own_log(pipeline, home)]
        if from_log:
            from models.training.examples.from_log import impressions_from_log

            folder = folder.with_name(f"{folder.name}-from-log")
            impressions_from_log(from_log, folder, definitions, pipeline.feedback, training.log_valid_share)
        past = timelines_of(pipeline, home)
        timelines = None if past is None else ItemTimelines.open(past, catalogue)
        data = VectorData(
            folder=settled(folder),
            view=open_view(pipeline.features, definitions, catalogue, home),
            build=VectorBuilder(spec, catalogue, name="export", timelines=timelines),
            width=len(names),
            over=training.over_catalogue,
            history=training.ranker.history,
            seed=training.seed,
        )
        with shown_progress(console) as progress:
            lists = write_vectors(
                out,
                data,
                spec,
                names,
                lambda split, done, total: progress(f"{split} lists", done, total),
            )
    counts = ", ".join(f"{count:,} {split}" for split, count in lists.items())
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    say(f"{counts} lists with {len(names)} numbers per candidate: {out}")
    say(f"columns: {', '.join((*KEYS, *names))}")


def _spec(
    pipeline: PipelineConfig,
    home: Path,
    known: KnownFeatures,
    features: str | None,
    model: str | None,
    missing: str,
) -> VectorSpec:
    if features is not None and model is not None:
        raise ConfigError("expected --features or --model, got both; give one of them")
    if model is None:
        named = known.fixed() if features is None else tuple(f.strip() for f in features.split(","))
        known.vector_names(named, field="--features")
        return VectorSpec(features=named, missing=missing_number(missing))
    if model not in pipeline.models:
        raise ConfigError(
            f"must be in models, got {model!r}; name one of {', '.join(pipeline.models) or 'none'}",
            field="--model",
        )
    vectors = Artifact.read(home / pipeline.models[model].artifact).signature.vectors or {}
    if len(vectors) != 1:
        raise ConfigError(
            f"{model} reads {len(vectors)} vectors, expected one; name the features with --features",
            field="--model",
        )
    return next(iter(vectors.values()))
