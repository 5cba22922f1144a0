"""XGBoost models: categories, and boosters whose trees have weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.importing.converted import converted, largest_difference
from models.importing.xgboost import load
from tests.models.importing.originals import NAMES, WIDTH, rows


def check_scores(path: Path, values: NDArray[np.float32]) -> None:
    original = load(path)
    largest_difference(original, converted(original, "y"), "y", values, has_missing=True)


def test_categories_decide_as_in_xgboost_also_for_fractions_and_negative_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=(2000, WIDTH)).astype(np.float32)
    values[:, 1] = random.integers(0, 40, 2000)
    values[:200, 1] = np.nan
    grades = np.sin(np.nan_to_num(values[:, 1]) * 7) + values[:, 0] > 0.3
    types = ["q", "c", *["q"] * (WIDTH - 2)]
    data = xgboost.DMatrix(values, grades, feature_names=NAMES, feature_types=types, enable_categorical=True)
    options: dict[str, Any] = {"objective": "binary:logistic", "nthread": 1, "max_cat_to_onehot": 4}
    xgboost.train(options, data, 10).save_model(tmp_path / "m.json")
    values[:1000, 1] = random.choice([-2.0, -1.0, -0.5, -0.0, 0.5, 2.7, 39.9, 40.0, 1e9, np.nan], 1000)
    check_scores(tmp_path / "m.json", values)


def test_the_trees_of_dart_are_scaled(tmp_path: Path) -> None:
    values, grades = rows()
    options: dict[str, Any] = {
        "booster": "dart",
        "rate_drop": 0.5,
        "nthread": 1,
        "objective": "reg:squarederror",
    }
    xgboost.train(options, xgboost.DMatrix(values, grades), 10).save_model(tmp_path / "m.json")
    check_scores(tmp_path / "m.json", values)


def test_a_damaged_file_is_refused_without_a_stack_trace(tmp_path: Path) -> None:
    values, grades = rows()
    path = tmp_path / "m.ubj"
    xgboost.train({"nthread": 1}, xgboost.DMatrix(values, grades), 3).save_model(path)
    load(path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(ArtifactError, match="the file is damaged") as caught:
        load(path)
    assert ".so" not in str(caught.value)


def test_the_trees_after_the_best_iteration_are_used_and_mentioned(tmp_path: Path) -> None:
    values, grades = rows()
    data, held_out = xgboost.DMatrix(values[:200], grades[:200]), xgboost.DMatrix(values[200:], grades[200:])
    options = {"nthread": 1, "eta": 1.0}
    booster = xgboost.train(
        options, data, 30, evals=[(held_out, "valid")], early_stopping_rounds=3, verbose_eval=False
    )
    booster.save_model(tmp_path / "m.json")
    original = load(tmp_path / "m.json")
    assert f"iteration {booster.best_iteration} the best" in original.notes[0]
    np.testing.assert_array_equal(original.predict(values), booster.predict(xgboost.DMatrix(values)))
    booster[: booster.best_iteration + 1].save_model(tmp_path / "best.json")
    assert load(tmp_path / "best.json").notes == ()
