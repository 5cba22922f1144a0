"""Static int8: calibrated on lists of all lengths, independent of the other candidates, and joined by ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from models.compress.steps.quantization.options import CalibrationMethod
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes.onnx.split_history import OnnxCutRuntime
from tests.models.compress.steps.quantization.parents import quantise, ranker_inputs, scores, write_ranker
from tests.models.worlds import make_pooled, make_ranker


@pytest.mark.parametrize("method", ["percentile", "minmax", "entropy"])
def test_scores_stay_close(tmp_path: Path, catalogue: Catalogue, method: CalibrationMethod) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue, make_pooled())
    calibration = {"method": method, "lists": 12}
    child, outcome = quantise(parent, tmp_path / "child", catalogue, mode="static", calibration=calibration)
    inputs = ranker_inputs(make_pooled(), catalogue, [20], [6])  # no padding, which was not calibrated
    assert np.corrcoef(scores(parent, inputs).ravel(), scores(child, inputs).ravel())[0, 1] > 0.99
    assert outcome.facts["lists"] == 12
    assert outcome.tables["Ranges of activations"][0]["low"] <= 0


def test_a_score_does_not_depend_on_other_candidates(tmp_path: Path, catalogue: Catalogue) -> None:
    module = make_pooled()
    parent = write_ranker(tmp_path / "parent", catalogue, module)
    child, _ = quantise(parent, tmp_path / "child", catalogue, mode="static")
    inputs = ranker_inputs(module, catalogue)
    fewer = dict(inputs)
    for spec in child.artifact.signature.inputs:
        if spec.per_candidate:
            fewer[spec.name] = inputs[spec.name][:, :2]
    np.testing.assert_allclose(scores(child, fewer), scores(child, inputs)[:, :2], atol=1e-5)


def test_onnx_runtime_joins_the_nodes(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    child, outcome = quantise(parent, tmp_path / "child", catalogue, mode="static")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(str(child.root / "model.onnx"), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QGemm") + kinds.count("MatMulIntegerToFloat") >= outcome.facts["layers"]


def test_graph_can_still_be_cut_after_its_encoded_history(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    child, _ = quantise(parent, tmp_path / "child", catalogue, mode="static")
    inputs = ranker_inputs(make_ranker(), catalogue)
    cut = OnnxCutRuntime(child.root / "model.onnx", child.artifact.signature)
    np.testing.assert_allclose(cut.run(inputs)["score"], scores(child, inputs), atol=1e-4)


def test_refuses_data_without_candidates(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    with pytest.raises(
        TrainingError, match="calibration requires at least one list with a candidate, got none"
    ):
        quantise(parent, tmp_path / "child", catalogue, count=0, mode="static")
    assert not (tmp_path / "child").exists()
