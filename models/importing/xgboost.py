"""XGBoost models, as ``booster.save_model`` writes them, in JSON or UBJSON."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import INPUT, OPSET, Original, Rows
from models.importing.onnx_graph import replace_output

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
    require(["xgboost", "onnxmltools", "onnx"], "import")
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(str(source))
        document = json.loads(booster.save_raw("json"))["learner"]
        objective = document["objective"]["name"]
        booster_kind = document["gradient_booster"]["name"]
        base = json.loads(document["learner_model_param"]["base_score"])
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError) as error:
        first = str(error).strip().splitlines()
        raise ArtifactError(
            f"{source}: XGBoost cannot load it: {first[-1] if first else error}; save the model again"
        ) from error
    bases = base if isinstance(base, list) else [base]
    if objective not in _LINKS or len(bases) != 1 or booster_kind != "gbtree":
        raise ArtifactError(
            f"{source}: cannot convert objective {objective} with booster {booster_kind} and {len(bases)} scores per "
            f"row; use gbtree with one of {', '.join(_LINKS)}"
        )
    link = _LINKS[objective]
    names = booster.feature_names
    booster.feature_names = None  # the converter and the predictions below number the columns

    def predict(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(booster.predict(xgboost.DMatrix(rows)), dtype=np.float64)

    def convert(output: str) -> "ModelProto":
        return _converted(booster, link, _margin(float(bases[0]), link), output)

    return Original(
        library=f"xgboost {xgboost.__version__}",
        width=booster.num_features(),
        names=None if names is None else tuple(names),
        predict=predict,
        convert=convert,
        edges=_edges(booster, booster.num_features()),
    )


def _margin(base: float, link: str | None) -> float:
    if link == "Sigmoid":
        return math.log(base / (1.0 - base))
    return math.log(base) if link == "Exp" else base


def _converted(booster: Any, link: str | None, margin: float, output: str) -> "ModelProto":
    """Convert the trees as those of a regression, and add the base score and the link.

    The converter knows no ranking objective, and reads the base score of XGBoost 3 wrongly.
    """
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    document = json.loads(booster.save_raw("json"))
    learner = document["learner"]
    learner["objective"] = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
    learner["learner_model_param"]["base_score"] = "[0E0]"
    learner["feature_names"] = []
    trees = xgboost.Booster()
    trees.load_model(bytearray(json.dumps(document).encode()))
    width = booster.num_features()
    graph: ModelProto = convert_xgboost(
        trees, initial_types=[(INPUT, FloatTensorType([None, width]))], target_opset=OPSET
    )
    for node in graph.graph.node:
        kept = [a for a in node.attribute if a.name != "base_values"]
        del node.attribute[:]
        node.attribute.extend(kept)
    steps: list[tuple[str, float | int | None]] = [("Add", margin)]
    if link is not None:
        steps.append((link, None))
    replace_output(graph, graph.graph.output[0].name, output, steps)
    return graph


def _edges(booster: Any, width: int) -> tuple[NDArray[np.float32], ...]:
    edges: list[list[float]] = [[] for _ in range(width)]
    waiting = [json.loads(tree) for tree in booster.get_dump(dump_format="json")]
    while waiting:
        node = waiting.pop()
        condition = node.get("split_condition")
        if condition is not None:
            numbers = condition if isinstance(condition, list) else [condition]
            edges[int(str(node["split"]).removeprefix("f"))] += [float(number) for number in numbers]
            waiting += node["children"]
    return tuple(np.unique(np.array(values, dtype=np.float32)) for values in edges)
