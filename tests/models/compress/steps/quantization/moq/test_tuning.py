"""The step with ``moq``: tuned with falling bits, then quantised."""

from pathlib import Path

import pytest

from models.compress.steps.quantization.moq.tuning import TITLE
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes.golden import check_golden
from models.runtimes.onnx import OnnxRuntime
from tests.models.compress.steps.quantization.parents import quantise, ranker_inputs, scores, write_ranker
from tests.models.worlds import make_pooled

FIT = {"epochs": 8, "lists_per_step": 6, "patience": 100, "learning_rate": 0.02, "evaluations_per_epoch": 1}
MOQ = {"period": 1, **FIT}


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_tunes_with_falling_bits_and_quantises(tmp_path: Path, catalogue: Catalogue, mode: str) -> None:
    module = make_pooled()
    parent = write_ranker(tmp_path / "parent", catalogue, module)
    child, outcome = quantise(
        parent, tmp_path / "child", catalogue, mode=mode, moq=MOQ, reduce_range=False, keep=0.3
    )
    rows = outcome.tables[TITLE]
    most = max(rows, key=lambda row: row["eigenvalue"])
    assert most["period"] == 5
    assert most["bits_of_best_weights"] > min(row["bits_of_best_weights"] for row in rows) == 8
    assert outcome.facts["tuning"]["steps"] == 32
    assert outcome.facts["kept"] == 2
    assert child.artifact.lineage["compression"]["parent"] == parent.artifact.version
    assert len(child.artifact.lineage["compression"]["steps"]) == 1
    assert scores(child, ranker_inputs(module, catalogue)).shape == (3, 20)
    runtime = OnnxRuntime(child.root / "model.onnx", child.artifact.signature)
    assert check_golden(child.root, child.artifact, runtime)


def test_refuses_a_model_without_a_module(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue, make_pooled())
    half, _ = quantise(parent, tmp_path / "half", catalogue, keep=0.5, sensitivity_lists=2)
    with pytest.raises(TrainingError, match="moq requires a model with a module"):
        quantise(half, tmp_path / "child", catalogue, moq=MOQ)
    assert not (tmp_path / "child").exists()
