"""The data that a compression recipe reads, from the recipe and its pipeline."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli.build import timelines_of
from models.compress.data.base import RecipeData
from models.compress.recipe import Recipe
from models.compress.steps.base import Model
from models.features.definition import FeatureSet
from models.training.loop import Progress
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError

if TYPE_CHECKING:
    from models.training.folders import TrainingFolders


def lists_folder(recipe: Recipe, pipeline: PipelineConfig, home: Path) -> Path:
    """Return the folder with the lists.

    Raises:
        ConfigError: neither the recipe nor the pipeline names one.
    """
    if recipe.lists is not None:
        return home / recipe.lists
    if pipeline.training is None:
        raise ConfigError(
            f"missing in the recipe, and pipeline {pipeline.name} has no training data; name a folder with lists",
            field="lists",
        )
    return home / pipeline.training.data


def open_data(
    recipe: Recipe,
    pipeline: PipelineConfig,
    home: Path,
    features: FeatureSet,
    original: Model,
    cache: Path,
    progress: Progress,
) -> RecipeData:
    """Return the recipe's data.

    Args:
        recipe: the recipe.
        pipeline: its pipeline.
        home: the data home.
        features: the pipeline's feature definitions.
        original: the model to compress. A text ranker reads lists with queries.
        cache: folder for models' scores.
        progress: called with the progress of scoring.

    Raises:
        ConfigError: the pipeline has no part ``training`` for a model that reads features.
        ModelError: the data cannot be used.
    """
    if original.artifact.signature.layout == "pairs":
        from models.compress.data.text import TextData

        return TextData(
            lists_folder(recipe, pipeline, home),
            features.content_hash,
            home / pipeline.catalogue,
            original,
            cache=cache,
            progress=progress,
            seed=recipe.seed,
            max_report_lists=recipe.measure.max_lists,
        )
    from models.compress.data.pipeline import PipelineData

    if pipeline.training is None:
        raise ConfigError(f"missing in pipeline {pipeline.name}; add it to the YAML", field="training")
    return PipelineData(
        pipeline.training,
        features,
        _folders(recipe, pipeline, home),
        cache=cache,
        progress=progress,
        max_report_lists=recipe.measure.max_lists,
    )


def _folders(recipe: Recipe, pipeline: PipelineConfig, home: Path) -> "TrainingFolders":
    from models.training.folders import TrainingFolders

    ranker = pipeline.required_ranker()
    return TrainingFolders(
        catalogue=home / pipeline.catalogue,
        data=lists_folder(recipe, pipeline, home),
        ranker=home / pipeline.models[ranker.model].artifact,
        overlay=None if pipeline.features.overlay is None else home / pipeline.features.overlay,
        timelines=timelines_of(pipeline, home),
    )
