"""The step on quantised models, and on models that it cannot quantise."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from models.artifact import write_artifact
from models.compress.steps.base import Model
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.signature import InputSpec, Signature
from tests.models.compress.steps.quantization.parents import (
    quantise,
    ranker_inputs,
    scores,
    write_ranker,
)
from tests.models.worlds import make_ranker


def write_trees(staging: Path) -> None:
    (staging / "model.lightgbm.txt").write_text("tree")


def test_refuses_trees_without_a_graph(tmp_path: Path, catalogue: Catalogue) -> None:
    artifact = write_artifact(
        tmp_path / "trees",
        name="trees",
        signature=Signature(inputs=(InputSpec(name="x", source="item.x"),)),
        weights="model.lightgbm.txt",
        write_files=write_trees,
    )
    with pytest.raises(
        TrainingError, match=r"requires an ONNX graph, but trees at .* has only model.lightgbm.txt"
    ):
        quantise(Model(tmp_path / "trees", artifact), tmp_path / "child", catalogue)
    assert not (tmp_path / "child").exists()


@pytest.mark.parametrize("first", ["static", "dynamic"])
@pytest.mark.parametrize("second", ["static", "dynamic"])
def test_a_second_step_quantises_the_layers_that_the_first_kept(
    tmp_path: Path, catalogue: Catalogue, first: str, second: str
) -> None:
    module = make_ranker()
    parent = write_ranker(tmp_path / "parent", catalogue, module)
    some: dict[str, Any] = {"keep": 0.5, "sensitivity_lists": 2}
    half, before = quantise(parent, tmp_path / "half", catalogue, mode=first, **some)
    whole, after = quantise(half, tmp_path / "whole", catalogue, mode=second)
    assert after.facts["layers"] == before.facts["kept"]
    onnx.checker.check_model(onnx.load(whole.root / "model.onnx"), full_check=True)
    inputs = ranker_inputs(module, catalogue, [20], [6])
    found = [scores(model, inputs).ravel() for model in (parent, half, whole)]
    assert np.corrcoef(found)[0].min() > 0.98
    assert not np.array_equal(found[1], found[2])
