"""What ``rankway check`` looks at beyond the YAML itself: that the named data and models are there and fit."""

from pathlib import Path

from models.artifact import Artifact
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.signature import InputAssembler
from services.candidates import candidate_source
from services.config import PipelineConfig
from services.errors import ConfigError
from services.features import load_definitions


def check_artifacts(config: PipelineConfig, home: Path) -> list[str]:
    """Give every fault, a line each: field, what is wrong, the remedy. Empty when it can be served."""
    faults: list[str] = []
    try:
        definitions = load_definitions(home / config.features.definitions)
        feature_hash = definitions.content_hash
    except ConfigError as error:
        faults.append(f"{error.field}: {error}")
        feature_hash = None
    store = config.features.store
    if store is not None and not (home / store.path).exists():
        faults.append(f"features.store.path: no feature store at {home / store.path}: build or load it first")
    catalogue = None
    try:
        catalogue = Catalogue.open(home / config.catalogue)
        candidate_source(config.candidates, catalogue)
    except ModelError as error:
        faults.append(f"catalogue: {error}")
    except ConfigError as error:
        faults.append(f"{error.field}: {error}")
    if catalogue is not None and feature_hash is not None and catalogue.manifest.feature_hash != feature_hash:
        faults.append(
            f"catalogue: its feature hash is {catalogue.manifest.feature_hash}, features.definitions has "
            f"{feature_hash}: build them together again"
        )
    for name, model in config.models.items():
        try:
            artifact = Artifact.load(home / model.artifact, feature_hash=feature_hash)
            if catalogue is not None:
                InputAssembler(artifact.signature, catalogue)
        except ModelError as error:
            faults.append(f"models.{name}.artifact: {error}")
    diversity = None if config.reranker is None else config.reranker.diversity
    if catalogue is not None and diversity is not None and diversity.column not in catalogue.columns:
        faults.append(
            f"reranker.diversity.column: the catalogue has no column {diversity.column!r}; "
            f"it has {', '.join(catalogue.columns)}"
        )
    return faults
