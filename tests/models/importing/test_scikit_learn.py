"""scikit-learn models: exact thresholds, missing values, pipelines, and files that are not what they seem."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.errors import ArtifactError
from models.importing.converted import converted, largest_difference
from models.importing.scikit_learn import load
from tests.models.importing.originals import rows


def dumped(path: Path, model: Any, *, missing: bool) -> tuple[Path, np.ndarray]:
    """Write a model that is fitted on the small rows. Return them too."""
    values, grades = rows()
    if not missing:
        values = np.nan_to_num(values)
    skops.io.dump(model.fit(values, grades > 1), path)
    return path, values


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        (HistGradientBoostingClassifier(max_iter=5), True),
        (HistGradientBoostingRegressor(max_iter=5), True),
        (RandomForestRegressor(5, max_depth=4), False),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
        (make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=5)), True),
    ],
    ids=["histogram classifier", "histogram regressor", "forest", "linear pipeline", "tree pipeline"],
)
def test_a_graph_scores_as_scikit_learn(tmp_path: Path, model: Any, missing: bool) -> None:
    path, values = dumped(tmp_path / "m", model, missing=missing)
    original = load(path)
    assert largest_difference(original, converted(original, "y"), "y", values, has_missing=missing) < 1e-5


def test_a_classifier_without_probabilities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"expected probabilities.*CalibratedClassifierCV"):
        load(dumped(tmp_path / "m", RidgeClassifier(), missing=False)[0])


def _archive(path: Path, **entries: str | bytes) -> None:
    with ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("_", "."), content)


def _function(path: Path) -> None:
    node = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "content": {"function": "system"},
        "protocol": 2,
    }
    _archive(path, schema_json=json.dumps(node))


def _nested(path: Path) -> None:
    _archive(path, schema_json="[" * 100_000)


def _huge_array(path: Path) -> None:
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    node = {
        "__class__": "ndarray",
        "__module__": "numpy",
        "__loader__": "NdArrayNode",
        "type": "numpy",
        "file": "a.npy",
        "protocol": 2,
    }
    _archive(path, schema_json=json.dumps(node), a_npy=header.getvalue())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_function, "os.system, which could execute code"),
        (_nested, "skops cannot load it"),
        (_huge_array, "skops cannot load it"),
        (lambda path: _archive(path, schema_json="{}"), "skops cannot load it"),
    ],
    ids=["function", "nested", "huge array", "empty"],
)
def test_a_file_that_is_no_model_is_refused(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    write(tmp_path / "m")
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path / "m")
