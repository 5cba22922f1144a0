"""A LambdaMART ranker over the features of the walks, trained with LightGBM if it is missing."""

from pathlib import Path

from models.artifact import Artifact
from models.errors import ArtifactError
from models.training.folders import TrainingFolders
from models.training.lambdamart import train_lambdamart
from models.training.ranker_config import LambdaMartTraining
from services.config.pipeline import PipelineConfig
from services.stages.features import load_definitions

_TREES, _LISTS = 200, 6000


def train_trees_if_missing(root: Path, pipeline: PipelineConfig, home: Path) -> Artifact:
    """Return the artifact at ``root``. If there is none, train 200 trees of 31 leaves on 6,000 lists of the walks."""
    try:
        return Artifact.load(root)
    except ArtifactError:
        pass
    if pipeline.training is None:
        raise ArtifactError(f"training: missing in pipeline {pipeline.name}; add it to the YAML")
    ranker = LambdaMartTraining(kind="lightgbm", trees=_TREES, max_lists=_LISTS, patience=_TREES)
    training = pipeline.training.model_copy(
        update={"ranker": ranker, "reranker": None, "distilled": None, "max_valid_lists": 1000}
    )
    overlay = pipeline.features.overlay
    folders = TrainingFolders(
        catalogue=home / pipeline.catalogue,
        data=home / pipeline.training.data,
        ranker=root,
        overlay=None if overlay is None else home / overlay,
    )
    features = load_definitions(home / pipeline.features.definitions)
    return train_lambdamart(training, features, folders, lambda *_: None).artifact
