"""An example request for a pipeline, with a user and a position that exist."""

import json
from pathlib import Path
from typing import Any

from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from services.config.pipeline import PipelineConfig
from services.stages.extent import POSITION, has_position
from services.stores import any_user

_UNKNOWN_USER = "anyone"
_DECIMALS = 5  # of a degree, about a metre


def example_request(
    config: PipelineConfig, home: Path, catalogue: Catalogue | None, definitions: FeatureSet | None
) -> str:
    """Return the JSON body of a request for three items.

    The user is in the feature store, if the store can show one. The position is that of the catalogue's first item.
    """
    store = config.features.store
    user = None if store is None else any_user(store, home)
    body: dict[str, Any] = {"user_id": user or _UNKNOWN_USER}
    if catalogue is not None and definitions is not None:
        column = catalogue.manifest.position_column
        if column is not None and len(catalogue) and has_position(definitions):
            position = [round(float(degrees), _DECIMALS) for degrees in catalogue.columns[column][0]]
            body["context"] = {POSITION: position}
    return json.dumps(body | {"k": min(3, config.requests.max_k)})
