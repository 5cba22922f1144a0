"""An example request for a pipeline, with a user and a position that exist."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from models.artifact import Artifact
from models.errors import ArtifactError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from services.config.pipeline import PipelineConfig
from services.ingress.schema import MAX_USER_ID
from services.stages.extent import POSITION, has_position
from services.stores import any_user

_UNKNOWN_USER = "anyone"
_TEXT = "your text"
_ITEMS = 1000  # of the catalogue, that are searched for a position
_DECIMALS = 5  # of a degree, about a metre


def example_request(
    config: PipelineConfig, home: Path, catalogue: Catalogue | None, definitions: FeatureSet | None
) -> str:
    """Return the JSON body of a request for three items.

    The user is in the feature store, if the store can show one. The position is that of an item in the catalogue. Only
    texts that a model reads are shown.
    """
    store = config.features.store
    user = None if store is None else any_user(store, home)
    body: dict[str, Any] = {"user_id": user if user and len(user) <= MAX_USER_ID else _UNKNOWN_USER}
    if definitions is not None:
        read = _queries(config, home) if definitions.texts else ()
        context: dict[str, Any] = {
            feature.name: _TEXT[: feature.max_length] for feature in definitions.texts if feature.name in read
        }
        position = None if catalogue is None else _any_position(catalogue)
        if position is not None and has_position(definitions):
            context[POSITION] = position
        if context:
            body["context"] = context
    return json.dumps(body | {"k": min(3, config.requests.max_k)})


def _queries(config: PipelineConfig, home: Path) -> set[str]:
    """Return the context features that text models of the pipeline read. Models that are missing are left out."""
    queries = set()
    for model in config.models.values():
        with suppress(ArtifactError):
            pair = Artifact.read(home / model.artifact).signature.pair
            if pair is not None:
                queries.add(pair.query.removeprefix("context."))
    return queries


def _any_position(catalogue: Catalogue) -> list[float] | None:
    """Return the position of the first item that has one."""
    column = catalogue.manifest.position_column
    if column is None:
        return None
    positions = catalogue.columns[column][:_ITEMS]
    found = np.flatnonzero(np.isfinite(positions).all(axis=1))
    return [round(float(degrees), _DECIMALS) for degrees in positions[found[0]]] if len(found) else None
