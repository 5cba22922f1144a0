"""Small models of LightGBM and XGBoost as artifacts, with the graph beside the library's file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact, write_artifact
from models.importing.converted import INPUT, Original
from models.importing.trial import files_of
from models.signature import InputSpec, Signature
from models.vectors import VectorSpec

WIDTH = 5
CATEGORIES = 40


def rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return rows with missing numbers and zeros, and with categories in the last column."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, WIDTH)).astype(np.float32)
    values[random.random(values.shape) < 0.1] = np.nan
    values[random.random(values.shape) < 0.1] = 0
    values[:, -1] = random.integers(0, CATEGORIES, count)
    return values


def labels(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a target that depends on every column."""
    known = np.nan_to_num(values)
    return np.asarray(known[:, :-1].sum(axis=1) + np.sin(known[:, -1] * 5), dtype=np.float32)


def lightgbm_text(path: Path, *, categorical: bool = False, **options: Any) -> Path:
    """Write a model of LightGBM."""
    import lightgbm as lgb

    values = rows(800)
    settings = {
        "objective": "regression",
        "verbosity": -1,
        "num_threads": 1,
        "min_data_in_leaf": 5,
        **options,
    }
    is_binary = settings["objective"] == "binary"
    data = lgb.Dataset(
        np.nan_to_num(values) if settings.get("linear_tree") else values,
        labels(values) > 0 if is_binary else labels(values),
        categorical_feature=[WIDTH - 1] if categorical else [],
    )
    lgb.train({"min_data_per_group": 5, "cat_smooth": 1.0, **settings}, data, 12).save_model(path)
    return path


def xgboost_json(path: Path, *, categorical: bool = False, **options: Any) -> Path:
    """Write a model of XGBoost, in JSON or in UBJSON if the path ends with .ubj."""
    import xgboost

    values = rows(800)
    settings = {"objective": "reg:squarederror", "nthread": 1, "max_cat_to_onehot": 4, **options}
    target = labels(values)
    if "logistic" in settings["objective"] or "hinge" in settings["objective"]:
        target = (target > 0).astype(np.float32)
    types = ["q"] * (WIDTH - 1) + ["c" if categorical else "q"]
    data = xgboost.DMatrix(values, target, feature_types=types, enable_categorical=True)
    xgboost.train(settings, data, 12).save_model(path)
    return path


def signature(width: int = WIDTH) -> Signature:
    """Return the signature of such a model."""
    return Signature(
        inputs=(InputSpec(name=INPUT, source=f"vector.{INPUT}", shape=(width,)),),
        vectors={INPUT: VectorSpec(features=("item.attributes", "context.hour"))},
    )


def artifact_of(original: Original, root: Path) -> Artifact:
    """Write an artifact with all files of a model."""
    made = files_of(original, "score", rows(50), has_missing=True)
    return write_artifact(
        root,
        name="ranker",
        signature=signature(),
        weights=next(iter(made.files)),
        write_files=made.write,
        runtime=made.runtimes[-1],
    )
