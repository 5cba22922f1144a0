"""The step on models that it cannot quantise."""

from pathlib import Path

import pytest

from models.artifact import write_artifact
from models.compress.steps.base import Model
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.signature import InputSpec, Signature
from tests.models.compress.steps.quantization.parents import quantise


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
