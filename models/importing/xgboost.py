"""XGBoost models, as ``booster.save_model`` writes them, in JSON or UBJSON."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import Original, Rows
from models.importing.trees import Step, edges, graph_of
from models.importing.xgboost_trees import trees_of

if TYPE_CHECKING:
    from onnx import ModelProto

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

    booster = xgboost.Booster()
    try:
        booster.load_model(str(source))
        document = json.loads(booster.save_raw("json"))["learner"]
        objective = document["objective"]["name"]
        booster_kind = document["gradient_booster"]["name"]
        base = json.loads(document["learner_model_param"]["base_score"])
        trees = trees_of(document["gradient_booster"]) if booster_kind in {"gbtree", "dart"} else []
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ArtifactError(
            f"{source}: XGBoost cannot load it: {_reason(error)}; save the model again"
        ) from error
    bases = base if isinstance(base, list) else [base]
    if objective not in _LINKS or len(bases) != 1 or booster_kind not in {"gbtree", "dart"}:
        raise ArtifactError(
            f"{source}: cannot convert objective {objective} with booster {booster_kind} and {len(bases)} scores per "
            f"row; use gbtree or dart with one of {', '.join(_LINKS)}"
        )
    link = _LINKS[objective]
    names = booster.feature_names
    types = booster.feature_types
    booster.feature_names = None  # the predictions below number the columns

    def predict(rows: Rows) -> NDArray[np.float64]:
        data = xgboost.DMatrix(rows, feature_types=types, enable_categorical=True)
        return np.asarray(booster.predict(data), dtype=np.float64)

    steps: list[Step] = [("Add", _margin(float(bases[0]), link))]
    if link is not None:
        steps.append((link, None))
    width = int(booster.num_features())

    def convert(output: str) -> "ModelProto":
        return graph_of(trees, width, output, steps)

    return Original(
        library=f"xgboost {xgboost.__version__}",
        width=width,
        names=None if names is None else tuple(names),
        predict=predict,
        convert=convert,
        edges=edges(trees, width),
    )


def _margin(base: float, link: str | None) -> float:
    if link == "Sigmoid":
        return math.log(base / (1.0 - base))
    return math.log(base) if link == "Exp" else base


def _reason(error: Exception) -> str:
    """Return the problem without XGBoost's time, source file and stack trace."""
    lines = [line.strip() for line in str(error).partition("Stack trace:")[0].splitlines() if line.strip()]
    return lines[-1].rpartition("cc:")[2] if lines else type(error).__name__
