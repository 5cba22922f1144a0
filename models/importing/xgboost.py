"""XGBoost models, as ``booster.save_model`` writes them, in JSON or UBJSON."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import Native, Original, Rows
from models.importing.trees import Step, edges, graph_of
from models.importing.xgboost_trees import trees_of
from models.runtimes.trees.files import XGBOOST_FILE
from models.runtimes.trees.xgboost import open_booster
from models.runtimes.trees.xgboost_document import checked_learner

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

    booster = open_booster(source.read_bytes(), str(source))
    # 200 trees of depth 10 are loaded in 63 ms and occupy 22 MiB. In JSON these are 457 ms and 155 MiB.
    data = bytes(booster.save_raw("ubj"))
    learner = checked_learner(bytes(booster.save_raw("json")), str(source))
    objective = learner["objective"]["name"]
    base = np.array(json.loads(learner["learner_model_param"]["base_score"])).item()
    steps = _steps(float(base), _LINKS.get(objective))
    trees = trees_of(learner["gradient_booster"])
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
        return graph_of(trees, width, output, steps)

    return Original(
        library=f"xgboost {xgboost.__version__}",
        width=width,
        names=None if names is None else tuple(names),
        predict=predict,
        convert=convert,
        edges=edges(trees, width),
        notes=_notes(learner, booster.num_boosted_rounds()),
        native=Native("xgboost", XGBOOST_FILE, data),
    )


def _notes(learner: Mapping[str, Any], rounds: int) -> tuple[str, ...]:
    """Return a line for a model whose training stopped early, because its file has the later trees too."""
    best = learner.get("attributes", {}).get("best_iteration")
    if best is None or int(best) + 1 >= rounds:
        return ()
    return (
        f"all {rounds} iterations are used, as by booster.predict. Training found iteration {best} the best: to use no "
        f"later one, save booster[: booster.best_iteration + 1]",
    )


def _steps(base: float, link: str | None) -> list[Step]:
    """Return the operators after the sum of the trees. ``base`` is a prediction, so its margin is added."""
    if link == "Sigmoid":
        return [("Add", math.log(base / (1.0 - base))), (link, None)]
    if link == "Exp":
        return [("Add", math.log(base)), (link, None)]
    return [("Add", base)]
