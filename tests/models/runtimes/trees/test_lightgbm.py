"""LightGBM as a runtime: damaged files, models of GPUs, and linear leaves."""

import re
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from models.errors import RuntimeFailure
from models.runtimes.trees.lightgbm import LightGbmRuntime
from tests.models.runtimes.trees.models import labels, lightgbm_text, rows, signature


def loaded(path: Path) -> LightGbmRuntime:
    return LightGbmRuntime(path, signature(), threads=1)


def test_scores_are_those_of_the_library_in_float32(tmp_path: Path) -> None:
    path = lightgbm_text(tmp_path / "m")
    expected = lgb.Booster(model_file=path).predict(rows(50)).astype(np.float32)  # type: ignore[union-attr]
    np.testing.assert_array_equal(loaded(path).run({"features": rows(50)})["score"][:, 0], expected)


def test_a_model_with_linear_leaves_is_executed(tmp_path: Path) -> None:
    path = lightgbm_text(tmp_path / "m", linear_tree=True)
    assert "is_linear=1" in path.read_text()
    scores = loaded(path).run({"features": rows(50)})["score"]
    np.testing.assert_array_equal(
        scores[:, 0],
        lgb.Booster(model_file=path).predict(rows(50)).astype(np.float32),  # type: ignore[union-attr]
    )


def test_a_model_that_a_gpu_has_trained_is_executed_on_the_cpu(tmp_path: Path) -> None:
    path = lightgbm_text(tmp_path / "m")
    before = loaded(path).run({"features": rows(9)})["score"]
    path.write_text(path.read_text().replace("[device_type: cpu]", "[device_type: cuda]"))
    assert "cuda" in path.read_text()
    np.testing.assert_array_equal(loaded(path).run({"features": rows(9)})["score"], before)


def test_the_trees_of_the_best_iteration_are_used(tmp_path: Path) -> None:
    values = rows(800)
    noise = np.random.default_rng(0).normal(size=800)
    data = lgb.Dataset(values[:400], labels(values[:400]) + 3 * noise[:400])
    held_out = lgb.Dataset(values[400:], labels(values[400:]) + 3 * noise[400:], reference=data)
    settings = {"verbosity": -1, "num_threads": 1, "learning_rate": 0.3}
    stop = lgb.early_stopping(5, verbose=False)
    booster = lgb.train(settings, data, 50, valid_sets=[held_out], callbacks=[stop])
    booster.save_model(tmp_path / "m")
    scores = loaded(tmp_path / "m").run({"features": values})["score"][:, 0]
    assert lgb.Booster(model_file=tmp_path / "m").num_trees() == booster.best_iteration > 0
    np.testing.assert_array_equal(scores, booster.predict(values).astype(np.float32))  # type: ignore[union-attr]


def test_a_row_without_any_number_has_a_score(tmp_path: Path) -> None:
    runtime = loaded(lightgbm_text(tmp_path / "m"))
    empty = np.full((2, 5), np.nan, dtype=np.float32)
    assert np.isfinite(runtime.run({"features": empty})["score"]).all()


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"[\s\S]*", "not a model", "the end of the file is missing"),
        (r"\nend of trees[\s\S]*", "", "the end of the file is missing"),
        (r"\nend of parameters[\s\S]*", "", "the end of the file is missing"),
        (r"left_child=\S+", "left_child=99", "its nodes are no tree"),
        (r"leaf_const=\S+ ", "leaf_const=", "leaf_const has"),
        (r"leaf_features=\S+", "leaf_features=77", "leaf_features must be below 5"),
        (r"leaf_coeff=\S+ ", "leaf_coeff=", "leaf_coeff has"),
        (r"num_features=\d+", "num_features=-1", "num_features must not be negative"),
    ],
)
def test_a_damaged_file_is_refused_before_lightgbm_reads_it(
    tmp_path: Path, pattern: str, replacement: str, message: str
) -> None:
    path = lightgbm_text(tmp_path / "m", linear_tree=True)
    path.write_text(re.sub(pattern, replacement, path.read_text(), count=1))
    with pytest.raises(RuntimeFailure, match=message):
        loaded(path)


def test_a_damaged_parameter_of_the_training_changes_nothing(tmp_path: Path) -> None:
    path = lightgbm_text(tmp_path / "m")
    before = loaded(path).run({"features": rows(9)})["score"]
    path.write_text(path.read_text().replace("[reg_sqrt: 0]", "[reg_sqrt"))
    np.testing.assert_array_equal(loaded(path).run({"features": rows(9)})["score"], before)


def test_a_model_with_several_scores_is_refused(tmp_path: Path) -> None:
    values = rows(300)
    settings = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1}
    lgb.train(settings, lgb.Dataset(values, np.arange(300) % 3), 2).save_model(tmp_path / "m")
    with pytest.raises(RuntimeFailure, match="expected one score per row, got 3"):
        loaded(tmp_path / "m")


def test_a_model_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = lightgbm_text(tmp_path / "m")
    with pytest.raises(RuntimeFailure, match="one float32 input of 5 numbers per candidate"):
        LightGbmRuntime(path, signature(6), threads=1)
