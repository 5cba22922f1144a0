"""LightGBM models: their trees decide as before in ONNX, and a damaged file is refused before LightGBM reads it."""

import re
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.importing.converted import converted, largest_difference
from models.importing.lightgbm import load, of_text
from models.importing.trial import files_of
from tests.models.importing.originals import NAMES, WIDTH, lightgbm_text, rows


def check_scores(source: Path, values: NDArray[np.float32]) -> None:
    """The graph scores every row as LightGBM does, also next to the thresholds, and with missing and tiny numbers."""
    original = load(source)
    largest_difference(original, converted(original, "score"), "score", values, has_missing=True)


def test_every_kind_of_missing_value_decides_as_in_lightgbm(tmp_path: Path) -> None:
    values, grades = rows(2000, seed=1)
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    values[:500, 0] = np.float32(-1e-35)
    values[500:900, 1] = 0
    for number, options in enumerate(({}, {"use_missing": False}, {"zero_as_missing": True})):
        settings = {"objective": "regression", "verbosity": -1, "num_threads": 1, **options}
        data = lgb.Dataset(values, grades, feature_name=NAMES, params=settings)
        lgb.train(settings, data, 10).save_model(tmp_path / str(number))
        check_scores(tmp_path / str(number), values)


@pytest.mark.parametrize(
    "options",
    [
        {"objective": "binary", "sigmoid": 2.0},
        {"objective": "cross_entropy"},
        {"objective": "cross_entropy_lambda"},
        {"objective": "tweedie"},
        {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"objective": "regression", "boosting": "dart"},
    ],
    ids=["binary", "cross_entropy", "cross_entropy_lambda", "tweedie", "forest", "dart"],
)
def test_every_objective_has_its_own_last_step(tmp_path: Path, options: dict[str, Any]) -> None:
    values, grades = rows()
    settings = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, **options}
    lgb.train(settings, lgb.Dataset(values, grades > 1, feature_name=NAMES), 8).save_model(tmp_path / "m")
    check_scores(tmp_path / "m", values)


@pytest.mark.parametrize("one_hot", [1, 100], ids=["sets of categories", "one category a split"])
def test_categories_decide_as_in_lightgbm_also_for_fractions_and_negative_numbers(
    tmp_path: Path, one_hot: int
) -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=(3000, WIDTH)).astype(np.float32)
    values[:, 1] = random.integers(0, 90, 3000)
    grades = (np.sin(values[:, 1] * 7) + values[:, 0] > 0.3).astype(np.int32)
    settings = {
        "objective": "binary",
        "verbosity": -1,
        "num_threads": 1,
        "min_data_per_group": 5,
        "cat_smooth": 1.0,
        "max_cat_to_onehot": one_hot,
    }
    data = lgb.Dataset(values, grades, feature_name=NAMES, categorical_feature=[1])
    lgb.train(settings, data, 20).save_model(tmp_path / "m")
    values[:1500, 1] = random.choice([-2.0, -1.0, -0.5, 0.5, 2.7, 89.9, 90.0, 1e9, np.nan], 1500)
    check_scores(tmp_path / "m", values)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"reg_sqrt": True}, "cannot convert objective regression sqrt"),
        ({"linear_tree": True}, "linear models in leaves"),
    ],
)
def test_a_model_that_onnx_cannot_express_keeps_its_own_file_only(
    tmp_path: Path, options: dict[str, Any], problem: str
) -> None:
    source = lightgbm_text(tmp_path / "m", objective="regression", **options)
    with pytest.raises(ArtifactError, match=problem):
        load(source).convert("score")
    made = files_of(load(source), "score", np.nan_to_num(rows()[0]), has_missing=False)
    assert made.runtimes == ("lightgbm",)
    assert made.files == {"model.txt": source.read_bytes()}
    assert problem in (made.problem or "")


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"\nend of trees[\s\S]*", "", "the end of the file is missing"),
        (r"left_child=\S+", "left_child=99", "its nodes are no tree"),
        (r"left_child=\S+", "left_child=abc", "tree 0 is damaged"),
        (r"split_feature=\S+", "split_feature=77", "split_feature must be below 5"),
        (r"leaf_value=\S+", "leaf_value=", "leaf_value has"),
        (r"num_leaves=\d+", "num_leaves=3", "numbers, expected"),
        (r"threshold=.*\n", "", "threshold is missing"),
        (r"is_linear=0", "is_linear=1", "leaf_const is missing"),
        (r"max_feature_idx=4", "max_feature_idx=x", "max_feature_idx is missing"),
    ],
)
def test_a_damaged_file_is_refused_before_lightgbm_reads_it(
    tmp_path: Path, pattern: str, replacement: str, message: str
) -> None:
    text = re.sub(pattern, replacement, lightgbm_text(tmp_path / "m").read_text(), count=1)
    with pytest.raises(ArtifactError, match=message):
        of_text(text, "m", lgb.__version__)


def test_columns_and_thresholds_are_known(tmp_path: Path) -> None:
    original = load(lightgbm_text(tmp_path / "m"))
    assert original.names == tuple(NAMES)
    assert len(original.edges) == WIDTH
    assert all(len(edges) for edges in original.edges[:2])
