"""XGBoost models, as ``booster.save_model`` writes them, in JSON or UBJSON."""

import json
import math
import subprocess
import sys
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
from models.runtimes.kinds.xgboost import FILE
from models.runtimes.trees.xgboost import open_booster
from models.runtimes.trees.xgboost_json import checked_learner

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
_UBJSON = b"{L"
_CONVERT = """
import sys, xgboost
try:
    booster = xgboost.Booster(model_file=sys.argv[1])
    sys.stdout.buffer.write(booster.save_raw("json"))
except xgboost.core.XGBoostError as error:
    sys.exit(str(error).partition("Stack trace:")[0].strip().rpartition(": ")[2])
"""
_LIMIT_S = 300


def load(source: Path) -> Original:
    """Load an XGBoost model.

    Raises:
        ArtifactError: the file is damaged, is not a model of trees, or the model has several scores per row.
        MissingPackage: a package of the extra import is not installed.
    """
    require(["xgboost", "onnx"], "import")
    import xgboost

    booster = open_booster(_as_json(source), str(source))
    data = bytes(booster.save_raw("json"))  # in the form of the installed version
    learner = checked_learner(data, str(source))
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
        notes=_notes(learner, len(trees)),
        native=Native("xgboost", FILE, data),
    )


def _notes(learner: Mapping[str, Any], trees: int) -> tuple[str, ...]:
    """Return a line for a model whose training stopped early, because its file has the later trees too."""
    best = learner.get("attributes", {}).get("best_iteration")
    if best is None or int(best) + 1 >= trees:
        return ()
    return (
        f"all {trees} trees are used, as by booster.predict. Training found iteration {best} the best: to use only the "
        f"trees up to it, save booster[: booster.best_iteration + 1]",
    )


def _as_json(source: Path) -> bytes:
    """Return a model in JSON. Another process converts UBJSON, because damaged UBJSON ends the process that reads it.

    Raises:
        ArtifactError: the file is damaged.
    """
    data = source.read_bytes()
    if not data.startswith(_UBJSON):
        return data
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CONVERT, str(source)], capture_output=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(
            f"{source}: XGBoost cannot load it in {_LIMIT_S} s; save it with booster.save_model('model.json')"
        ) from error
    if done.returncode == 0:
        return done.stdout
    problem = done.stderr.decode(errors="replace").strip() or f"it ended with code {done.returncode}"
    raise ArtifactError(f"{source}: XGBoost cannot load it: {problem}; save the model again")


def _steps(base: float, link: str | None) -> list[Step]:
    """Return the operators after the sum of the trees. ``base`` is a prediction, so its margin is added."""
    if link == "Sigmoid":
        return [("Add", math.log(base / (1.0 - base))), (link, None)]
    if link == "Exp":
        return [("Add", math.log(base)), (link, None)]
    return [("Add", base)]
