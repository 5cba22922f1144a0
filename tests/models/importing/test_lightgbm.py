"""LightGBM's text: rewritten without a change of any decision, and checked before LightGBM reads it."""

import re
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ArtifactError
from models.importing.lightgbm import load, of_text
from models.importing.lightgbm_text import as_onnx_decides, rounded_down, without_sizes
from tests.models.importing.originals import NAMES, WIDTH, lightgbm_text, rows


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, width=32))
def test_a_float32_is_on_the_same_side_of_a_rounded_threshold(threshold: float, value: float) -> None:
    (rounded,) = rounded_down(np.array([threshold]))
    assert (np.float64(value) <= threshold) == (np.float32(value) <= rounded)


def test_rewritten_trees_give_the_same_scores_for_missing_and_tiny_numbers(tmp_path: Path) -> None:
    text = without_sizes(lightgbm_text(tmp_path / "m").read_text())
    values = rows(2000, seed=1)[0]
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    values[:500, 0] = np.float32(-1e-35)
    one, other = lgb.Booster(model_str=text), lgb.Booster(model_str=as_onnx_decides(text))
    np.testing.assert_array_equal(one.predict(values), other.predict(values))


def test_categories_of_whole_numbers_are_converted(tmp_path: Path) -> None:
    values, grades = rows()
    data = lgb.Dataset(values, grades, group=[20] * 20, feature_name=NAMES, categorical_feature=[1])
    settings = {"objective": "lambdarank", "verbosity": -1, "num_threads": 1, "min_data_per_group": 5}
    lgb.train(settings, data, 5).save_model(tmp_path / "m")
    assert load(tmp_path / "m").categories == {1}


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
        (r"is_linear=0", "is_linear=1", "linear models"),
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
