"""Check custom code for ``rankway check``: the runtimes, stages and sources that a configuration names."""

from collections.abc import Iterator
from pathlib import Path

from autoscale.registries.errors import PLUGIN_ERRORS
from models.errors import MissingPackage, ModelError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from models.ragged import RaggedBatch
from models.runtimes import check_runtime
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError, ServiceError
from services.releases.warmup import sample_batch
from services.stages.candidates import SOURCES, CandidateSource
from services.stages.context import ContextLayout
from services.stages.custom import CustomStages, StageContext


def runtime_faults(config: PipelineConfig) -> list[str]:
    """Return a line for each model whose runtime cannot be used, apart from packages that are not installed here."""
    return [
        f"models.{name}.{error}"
        for name, error in _runtime_errors(config)
        if not isinstance(error, MissingPackage)
    ]


def missing_packages(config: PipelineConfig) -> list[str]:
    """Return a line for each model whose runtime needs a package that is not installed here."""
    return [
        f"models.{name}.runtime.kind: {error}"
        for name, error in _runtime_errors(config)
        if isinstance(error, MissingPackage)
    ]


def _runtime_errors(config: PipelineConfig) -> Iterator[tuple[str, ModelError]]:
    for name, model in config.models.items():
        try:
            check_runtime(model.runtime)
        except ModelError as error:
            yield name, error


def check_stages(config: PipelineConfig, catalogue: Catalogue, definitions: FeatureSet, home: Path) -> None:
    """Make the custom stages, and run each on a batch of unknown users.

    Raises:
        ConfigError: a stage cannot be made, or fails.
    """
    stages = CustomStages(config.stages, StageContext(catalogue, definitions, home))
    if not config.stages:
        return
    batch = sample_batch(
        ContextLayout(definitions), FeatureView(definitions, catalogue), len(catalogue), 2, 3
    )
    try:
        batch = stages.prepare(batch)
        for stage in stages.after("ranker"):
            batch = stage(batch)
    except ServiceError as error:
        raise ConfigError(str(error), field="stages") from error
    except PLUGIN_ERRORS as error:
        names = ", ".join(stage.label for stage in config.stages)
        raise ConfigError(
            f"a custom stage ({names}) failed on a sample batch of unknown users: {type(error).__name__}: {error}; fix "
            f"its code",
            field="stages",
        ) from error


def check_source(config: PipelineConfig, source: CandidateSource, definitions: FeatureSet) -> None:
    """Draw once from another package's candidate source.

    Raises:
        ConfigError: the source fails.
    """
    if config.candidates.kind in SOURCES.builtins:
        return
    layout = ContextLayout(definitions)
    try:
        source.draw(layout.columns([layout.sample()] * 2), 2)
    except ServiceError as error:
        raise ConfigError(str(error), field="candidates") from error
    except PLUGIN_ERRORS as error:
        raise ConfigError(
            f"the candidate source {config.candidates.kind} failed: {type(error).__name__}: {error}; fix its code",
            field="candidates",
        ) from error


def prepared(
    config: PipelineConfig, catalogue: Catalogue, definitions: FeatureSet, home: Path, batch: RaggedBatch
) -> RaggedBatch:
    """Return the batch with the columns from custom stages before the ranker.

    If a stage fails, return the batch unchanged.
    """
    try:
        return CustomStages(config.stages, StageContext(catalogue, definitions, home)).prepare(batch)
    except PLUGIN_ERRORS:
        return batch  # ``check_stages`` reports the error
