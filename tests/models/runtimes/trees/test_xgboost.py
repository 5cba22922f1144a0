"""XGBoost as a runtime: models of GPUs, threads, and files that are no models."""

import json
from pathlib import Path

import numpy as np
import pytest
import xgboost

from models.errors import RuntimeFailure
from models.runtimes.trees.xgboost import XgboostRuntime
from tests.models.runtimes.trees.models import rows, signature, xgboost_json


def loaded(path: Path) -> XgboostRuntime:
    return XgboostRuntime(path, signature(), threads=1)


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic", "binary:hinge"])
def test_scores_are_those_of_the_library(tmp_path: Path, objective: str) -> None:
    path = xgboost_json(tmp_path / "m.ubj", objective=objective)
    expected = xgboost.Booster(model_file=path).predict(xgboost.DMatrix(rows(50)))
    np.testing.assert_array_equal(loaded(path).run({"features": rows(50)})["score"][:, 0], expected)


def test_a_model_that_a_gpu_has_trained_is_executed_on_the_cpu(tmp_path: Path) -> None:
    path = xgboost_json(tmp_path / "m.json")
    before = loaded(path).run({"features": rows(9)})["score"]
    document = json.loads(path.read_text())
    document["learner"]["generic_param"] = {"device": "cuda:0", "gpu_id": "0"}
    document["learner"]["gradient_booster"]["gbtree_train_param"] = {"tree_method": "gpu_hist"}
    path.write_text(json.dumps(document))
    np.testing.assert_array_equal(loaded(path).run({"features": rows(9)})["score"], before)


def test_a_row_without_any_number_has_a_score(tmp_path: Path) -> None:
    runtime = loaded(xgboost_json(tmp_path / "m.ubj"))
    empty = np.full((2, 5), np.nan, dtype=np.float32)
    assert np.isfinite(runtime.run({"features": empty})["score"]).all()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = xgboost_json(tmp_path / "m.ubj")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RuntimeFailure, match="the file is damaged"):
        loaded(path)


def test_json_and_ubjson_have_the_same_scores(tmp_path: Path) -> None:
    ubjson, json_file = (xgboost_json(tmp_path / name) for name in ("m.ubj", "m.json"))
    scores = [loaded(path).run({"features": rows(50)})["score"] for path in (ubjson, json_file)]
    np.testing.assert_array_equal(scores[0], scores[1])


def test_a_missing_file_is_an_error_of_the_runtime(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="No such file"):
        loaded(tmp_path / "none.ubj")
