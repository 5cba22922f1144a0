"""NNCF with accuracy control: the layers become int8 in a graph that OpenVINO and ONNX Runtime execute."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.compress.data.runtime_scores import runtime_of
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.precision import precisions
from tests.models.compress.steps.quantization.parents import quantise, ranker_inputs, scores, write_ranker
from tests.models.worlds import make_pooled

# Not importorskip: the import of NNCF changes the class of later loggers.
pytestmark = pytest.mark.skipif(find_spec("nncf") is None, reason="needs the extra compress")


def test_openvino_executes_the_quantised_layers(tmp_path: Path, catalogue: Catalogue) -> None:
    module = make_pooled()
    parent = write_ranker(tmp_path / "parent", catalogue, module)
    budget = {"max_ndcg_loss": 0.5, "lists": 8}
    options: dict[str, Any] = {"mode": "nncf", "calibration": {"lists": 8}, "budget": budget}
    child, outcome = quantise(parent, tmp_path / "child", catalogue, **options)
    assert outcome.facts["layers"] == 7
    assert "int8" in precisions(child.root, child.artifact)["model.onnx"]
    inputs = ranker_inputs(module, catalogue, [20], [6])
    assert np.corrcoef(scores(parent, inputs).ravel(), scores(child, inputs).ravel())[0, 1] > 0.98
    runtime = load_runtime(child.root, child.artifact, runtime_config(kind="openvino"))
    assert check_golden(child.root, child.artifact, runtime)
    assert runtime_of(child.artifact).kind == "openvino"
    assert logging.getLoggerClass() is logging.Logger, "loggers of other modules must not be NNCF's"


def test_refuses_data_without_lists(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue, make_pooled())
    with pytest.raises(TrainingError, match="calibration requires at least one list"):
        quantise(parent, tmp_path / "child", catalogue, count=0, mode="nncf")
    assert not (tmp_path / "child").exists()
