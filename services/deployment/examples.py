"""Example requests of a pipeline, with all features, to try a model on before it is served."""

from pathlib import Path

import numpy as np

from models.atomic_directory import settled
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.deltas.folder import open_grown
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import RaggedBatch
from models.runtimes.golden import golden_batch
from models.training.examples.usable_lists import without_unknown_items
from services.config.pipeline import PipelineConfig
from services.deployment.check_plugins import prepared
from services.releases.warmup import sample_batch
from services.stages.context import ContextLayout
from services.stages.features import load_definitions, open_view, refuse_other_features

_REQUESTS, _CANDIDATES = 4, 64
_SCORES = ("score", "ranker")


def example_requests(
    config: PipelineConfig, home: Path, definitions: FeatureSet, catalogue: Catalogue
) -> RaggedBatch:
    """Return a few requests: validation lists of the training data, or else unknown users with random candidates.

    Scores of earlier stages are zeros.

    Raises:
        ConfigError: the overlay or the live item features cannot be used.
    """
    view = open_view(config.features, definitions, catalogue, home)
    batch = _validation_lists(config, home, view)
    if batch is None:
        batch = sample_batch(ContextLayout(definitions), view, len(catalogue), _REQUESTS, _CANDIDATES)
    return prepared(config, catalogue, definitions, home, batch)


def _validation_lists(config: PipelineConfig, home: Path, view: FeatureView) -> RaggedBatch | None:
    if config.training is None:
        return None
    try:
        batch, labels = read_impressions(
            settled(home / config.training.data) / "valid",
            feature_hash=view.features.content_hash,
            keys_to_rows=view.catalogue.rows_of_keys,
        )
    except ModelError:
        return None  # the data are not built yet, or are older than the definitions
    batch, _ = without_unknown_items(batch, labels)
    if not len(batch):
        return None
    zeros = np.zeros(batch.candidate_count, dtype=np.float32)
    scores = {name: zeros for name in _SCORES if name not in batch.candidates}
    return golden_batch(view.completed(batch.adding(candidates=scores)))


def opened(pipeline: PipelineConfig, home: Path) -> tuple[FeatureSet, Catalogue]:
    """Return a pipeline's definitions and catalogue.

    Raises:
        ConfigError: the definitions cannot be read, or the catalogue was built with others.
        ArtifactError: the catalogue cannot be opened.
    """
    definitions = load_definitions(home / pipeline.features.definitions)
    catalogue = open_grown(settled(home / pipeline.catalogue), home / pipeline.deltas_folder)
    refuse_other_features(catalogue, definitions)
    return definitions, catalogue
