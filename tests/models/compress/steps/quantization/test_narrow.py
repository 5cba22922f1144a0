"""Weights in 16 bits: half the bytes, and the same scores within the type's precision."""

from pathlib import Path

import numpy as np
import pytest

from models.architectures.dlrm import Dlrm
from models.architectures.options import DlrmOptions
from models.compress.steps.quantization.narrow import Narrow
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes.precision import precisions
from models.signature import Inputs
from tests.models.compress.steps.quantization.parents import quantise, scores, write_parent

OPTIONS = DlrmOptions(dense=3, fields=2, rows=300, width=8, bottom=(16,), top=(16,))


def inputs_of_dlrm() -> Inputs:
    random = np.random.default_rng(0)
    return {
        "dense": random.normal(size=(5, 3)).astype(np.float32),
        "sparse": random.integers(0, 300, (5, 2)),
    }


@pytest.mark.parametrize(("kind", "error"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_layers_and_tables_take_half_the_bytes(
    tmp_path: Path, catalogue: Catalogue, kind: Narrow, error: float
) -> None:
    inputs = inputs_of_dlrm()
    parent = write_parent(tmp_path / "parent", Dlrm(OPTIONS).eval(), inputs)
    child, outcome = quantise(parent, tmp_path / "child", catalogue, mode=kind)
    assert outcome.facts["weights"] == 5
    assert np.abs(scores(parent, inputs) - scores(child, inputs)).max() < error
    sizes = [(model.root / "model.onnx").stat().st_size for model in (child, parent)]
    assert sizes[0] < 0.7 * sizes[1]
    assert kind in precisions(child.root, child.artifact)["model.onnx"]


@pytest.mark.parametrize(
    ("bad", "fault"), [(1e6, "too large for float16"), (float("nan"), "NaN or infinite")]
)
def test_refuses_weights_that_do_not_fit(
    tmp_path: Path, catalogue: Catalogue, bad: float, fault: str
) -> None:
    module = Dlrm(OPTIONS).eval()
    module.table.data[2, 3] = bad
    parent = write_parent(tmp_path / "parent", module)
    with pytest.raises(TrainingError, match=fault):
        quantise(parent, tmp_path / "child", catalogue, mode="float16")
    assert not (tmp_path / "child").exists()
