"""XGBoost models, as ``booster.save_model`` writes them, in JSON or UBJSON."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import Native, Original, Rows
from models.importing.trees import Step, edges, graph_of
from models.importing.xgboost_trees import trees_of
from models.runtimes.kinds.xgboost import FILE
from models.runtimes.trees.xgboost import open_booster

if TYPE_CHECKING:
    from onnx import ModelProto

_OF_TREES = ("gbtree", "dart")
_LINKS = {
    "reg:squarederror": None,
    "reg:squaredlogerror": None,
    "reg:pseudohubererror": None,
    "reg:absoluteerror": None,
    "rank:ndcg": None,
    "rank:pairwise": None,
    "rank:map": None,
    "binary:logitraw": None,
    "binary:logistic": "Sigmoid",
    "reg:logistic": "Sigmoid",
    "count:poisson": "Exp",
    "reg:gamma": "Exp",
    "reg:tweedie": "Exp",
}
"""The last step of each objective: the function from the sum of the trees to the prediction."""


def load(source: Path) -> Original:
    """Load an XGBoost model.

    Raises:
        ArtifactError: the file is damaged, is not a model of trees, or the model has several scores per row.
        MissingPackage: a package of the extra import is not installed.
    """
    require(["xgboost", "onnx"], "import")
    import xgboost

    booster = open_booster(source.read_bytes(), str(source))
    try:
        document = json.loads(booster.save_raw("json"))["learner"]
        objective = document["objective"]["name"]
        kind = document["gradient_booster"]["name"]
        classes = max(int(document["learner_model_param"].get(key, 1)) for key in ("num_class", "num_target"))
        base = json.loads(document["learner_model_param"]["base_score"])
        trees = trees_of(document["gradient_booster"]) if kind in _OF_TREES else []
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ArtifactError(f"{source}: XGBoost's file is damaged: {error}; save the model again") from error
    bases = base if isinstance(base, list) else [base]
    scores = max(len(bases), classes)
    if kind not in _OF_TREES or scores != 1:
        raise ArtifactError(
            f"{source}: expected trees with one score per row, got the booster {kind} with {scores}; train gbtree or "
            f"dart with one score per row"
        )
    data = bytes(booster.save_raw("ubj"))
    names = booster.feature_names
    types = booster.feature_types
    booster.feature_names = None  # the predictions below number the columns

    def predict(rows: Rows) -> NDArray[np.float64]:
        data = xgboost.DMatrix(rows, feature_types=types, enable_categorical=True)
        return np.asarray(booster.predict(data), dtype=np.float64)

    width = int(booster.num_features())

    def convert(output: str) -> "ModelProto":
        if objective not in _LINKS:
            raise ArtifactError(
                f"{source}: cannot convert objective {objective}; use one of {', '.join(_LINKS)}"
            )
        return graph_of(trees, width, output, _steps(float(bases[0]), _LINKS[objective]))

    return Original(
        library=f"xgboost {xgboost.__version__}",
        width=width,
        names=None if names is None else tuple(names),
        predict=predict,
        convert=convert,
        edges=edges(trees, width),
        native=Native("xgboost", FILE, data),
    )


def _steps(base: float, link: str | None) -> list[Step]:
    """Return the operators after the sum of the trees. ``base`` is a prediction, so its margin is added."""
    if link == "Sigmoid":
        return [("Add", math.log(base / (1.0 - base))), (link, None)]
    if link == "Exp":
        return [("Add", math.log(base)), (link, None)]
    return [("Add", base)]
