"""``rankway train CONFIG``: train a pipeline's models on its data set and write them as artifacts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli.build import build_events, timelines_of
from cli.errors import FAILED, exit_on_error, print_warning
from cli.own_log import own_log
from cli.progress import shown_progress
from models.atomic_directory import recover
from models.extras import require
from models.training.ranker_config import RankerTraining
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.paths import home_directory
from services.stages.features import load_definitions

if TYPE_CHECKING:
    from models.training.folders import Trained, TrainingFolders

ORDERS = {"": "this model", "ranker_": "ranker", "popularity_": "popularity", "random_": "random"}
"""Each metric prefix's label: the ordering that the metric measures."""


def train(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file with a part `training`.")],
    force: Annotated[
        bool, typer.Option("--force", help="Train even if data and configuration are unchanged.")
    ] = False,
    from_log: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-log",
            help="Train on this served log: Parquet files, or folders of Parquet files. May be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print versions and metrics as JSON.")] = False,
) -> None:
    """Train a pipeline's models. An interrupted run resumes.

    Models whose data and configuration are unchanged are kept.
    """
    from safetensors import SafetensorError  # raised if the disk fills up while weights are written

    console = Console(stderr=True)
    remedy = f"the previous models are intact; make room under {home_directory()} and run the command again"
    with exit_on_error(console, OSError, SafetensorError, remedy=remedy, exit_code=FAILED):
        trained = _train(load_config(config), from_log or [], force, console)
    if as_json:
        typer.echo(json.dumps([_as_json(model) for model in trained], indent=2))
        return
    for model in trained:
        state = "trained" if model.fresh else "up to date"
        console.print(
            f"{model.artifact.name} {model.artifact.version}: {state}, {model.root}", soft_wrap=True
        )
        for prefix, label in ORDERS.items():
            ndcg, mrr = (model.artifact.metrics.get(f"{prefix}{name}") for name in ("ndcg_at_10", "mrr"))
            if ndcg is not None and mrr is not None:
                console.print(f"  {label:<11} NDCG@10 {ndcg:.4f}  MRR {mrr:.4f}", highlight=False)


def _train(
    pipeline: PipelineConfig, from_log: Sequence[Path], force: bool, console: Console
) -> "list[Trained]":
    from models.training.examples.from_log import impressions_from_log
    from models.training.folders import TrainingFolders
    from services.deployment.advice import training_warnings

    if pipeline.training is None:
        raise ConfigError(f"missing in pipeline {pipeline.name}; add it to the YAML", field="training")
    is_history = isinstance(pipeline.training.ranker, RankerTraining)
    if is_history:
        require(["torch", "accelerate", "onnx"], "train")
    else:
        require(["lightgbm", "onnx"], "import")
    home, ranker = home_directory(), pipeline.required_ranker()
    reranker = None if pipeline.reranker is None else pipeline.models[pipeline.reranker.model].artifact
    events = pipeline.training.events
    if events is not None:
        build_events(pipeline, events, home, console)
        if not events.has_lists and not from_log:
            from_log = [own_log(pipeline, home)]
    features = load_definitions(home / pipeline.features.definitions)
    data = home / pipeline.training.data
    if from_log:
        data = data.with_name(f"{data.name}-from-log")
        impressions_from_log(from_log, data, features, pipeline.feedback, pipeline.training.log_valid_share)
    folders = TrainingFolders(
        catalogue=home / pipeline.catalogue,
        data=data,
        ranker=home / pipeline.models[ranker.model].artifact,
        reranker=None if reranker is None else home / reranker,
        distilled=_distilled_path(pipeline, home),
        overlay=None if pipeline.features.overlay is None else home / pipeline.features.overlay,
        timelines=timelines_of(pipeline, home),
    )
    _recover(folders)
    for warning in training_warnings(pipeline, home):
        print_warning(console, warning)
    with shown_progress(console) as progress:
        if not is_history:
            from models.training.lambdamart import train_lambdamart

            return [train_lambdamart(pipeline.training, features, folders, progress, force=force)]
        from models.training.train import Trainer  # imported here, because it loads torch

        return Trainer(pipeline.training, features, folders, progress).run(force=force)


def _recover(folders: "TrainingFolders") -> None:
    """Restore complete data, models and checkpoints that a killed process had moved aside."""
    models = [model for model in (folders.ranker, folders.reranker, folders.distilled) if model is not None]
    checkpoints = [model.with_name(f"{model.name}.training") for model in models]
    splits = [folders.data / "train", folders.data / "valid"]
    overlays = [] if folders.overlay is None else [folders.overlay]
    for root in (folders.catalogue, folders.data, *splits, *overlays, *models, *checkpoints):
        recover(root)


def _distilled_path(pipeline: PipelineConfig, home: Path) -> Path | None:
    if pipeline.training is None or pipeline.training.distilled is None:
        return None
    name = pipeline.training.distilled.model
    if name not in pipeline.models:
        raise ConfigError(
            f"must be in models, got {name!r}; add it, or name one of {sorted(pipeline.models)}",
            field="training.distilled.model",
        )
    return home / pipeline.models[name].artifact


def _as_json(model: "Trained") -> dict[str, Any]:
    artifact = model.artifact
    return {
        "name": artifact.name,
        "version": artifact.version,
        "path": str(model.root),
        "fresh": model.fresh,
        "metrics": artifact.metrics,
        "lineage": artifact.lineage,
    }
