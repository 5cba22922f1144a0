"""Small models of other libraries over two columns of the small world, trained in a second."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.vectors import column_names
from tests.models.worlds import ATTRIBUTES

FEATURES = ("item.attributes", "context.hour")
NAMES = column_names(FEATURES, {"item.attributes": ATTRIBUTES})
WIDTH = len(NAMES)


def rows(count: int = 400, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return rows with whole and with missing numbers, and grades."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, WIDTH)).astype(np.float32)
    values[:, 1] = random.integers(0, 3, count)
    values[random.random(count) < 0.2, 2] = np.nan
    grades = np.clip(np.rint(values[:, 0] + values[:, 1]), 0, 3).astype(np.int32)
    return values, grades


def lightgbm_text(path: Path, *, names: list[str] | None = None, **options: Any) -> Path:
    """Write a LambdaMART of LightGBM."""
    import lightgbm as lgb

    values, grades = rows()
    settings = {
        "objective": "lambdarank",
        "verbosity": -1,
        "num_threads": 1,
        "min_data_in_leaf": 5,
        **options,
    }
    group = None if options else [20] * 20
    data = lgb.Dataset(values, grades, group=group, feature_name=names or NAMES)
    lgb.train(settings, data, 8).save_model(path)
    return path


def xgboost_json(path: Path, objective: str = "rank:ndcg", **options: Any) -> Path:
    """Write a model of XGBoost."""
    import xgboost

    values, grades = rows()
    data = xgboost.DMatrix(values, grades > 1 if "logistic" in objective else grades, feature_names=NAMES)
    if objective.startswith("rank"):
        data.set_group([20] * 20)
    xgboost.train({"objective": objective, "nthread": 1, **options}, data, 6).save_model(path)
    return path


def skops_file(path: Path, *, classifier: bool = False) -> Path:
    """Write gradient boosted trees of scikit-learn, which accept no missing values."""
    import skops.io
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    values, grades = rows()
    values = np.nan_to_num(values)
    if classifier:
        model: Any = GradientBoostingClassifier(n_estimators=5).fit(values, grades > 1)
    else:
        model = GradientBoostingRegressor(n_estimators=5).fit(values, grades)
    skops.io.dump(model, path)
    return path


def graph(path: Path, inputs: dict[str, tuple[int, list[Any]]], nodes: list[Any], outputs: list[Any]) -> Path:
    """Write an ONNX graph. Inputs are given as element type and shape."""
    import onnx
    from onnx import helper

    made = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        outputs,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def sum_graph(path: Path, width: int | str = WIDTH, name: str = "dense", output: str = "out") -> Path:
    """Write a graph with one input (N, width), whose output (N, 1) is the sum of each row."""
    from onnx import TensorProto, helper

    return graph(
        path,
        {name: (TensorProto.FLOAT, ["n", width])},
        [
            helper.make_node("Constant", [], ["axis"], value_ints=[1]),
            helper.make_node("ReduceSum", [name, "axis"], [output], keepdims=1),
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 1])],
    )
