from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.artifact import write_artifact
from models.errors import ArtifactError, ModelError
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from models.signature import InputSpec, OutputSpec, Signature
from services.errors import StageFailed
from services.stages.ranker import RankerConfig, RankerStage
from services.stages.scoring.scorer import ModelConfig, ModelScorer

BATCH = RaggedBatch(offsets=np.array([0, 2, 3]), rows=np.array([4, 5, 6]))


def write_model(home: Path, node: onnx.NodeProto, kind: int = TensorProto.FLOAT) -> None:
    """Write an artifact that computes "out" from the items' values with one node."""
    graph = helper.make_graph(
        [node],
        "own",
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("out", kind, None)],
        [helper.make_tensor("column", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    write_artifact(
        home / "own",
        name="own",
        signature=Signature(
            inputs=(InputSpec(name="value", source="item.value"),), outputs=(OutputSpec(name="out"),)
        ),
        weights="model.onnx",
        write_files=lambda staging: onnx.save(model, str(staging / "model.onnx")),
    )


def scorer(home: Path, catalogue: Catalogue) -> ModelScorer:
    return ModelScorer(ModelConfig(artifact="own"), catalogue, home)


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        (helper.make_node("Identity", ["value"], ["out"]), TensorProto.FLOAT),
        (helper.make_node("Unsqueeze", ["value", "column"], ["out"]), TensorProto.FLOAT),
        (helper.make_node("Cast", ["value"], ["out"], to=TensorProto.DOUBLE), TensorProto.DOUBLE),
        (helper.make_node("Cast", ["value"], ["out"], to=TensorProto.UINT8), TensorProto.UINT8),
    ],
    ids=["(N,)", "(N, 1)", "float64", "uint8"],
)
def test_accepts_scores_of_a_custom_model_in_these_shapes_and_types(
    tmp_path: Path, catalogue: Catalogue, node: onnx.NodeProto, kind: int
) -> None:
    write_model(tmp_path, node, kind)
    ranked = RankerStage(scorer(tmp_path, catalogue), RankerConfig(model="own", output="out"))(BATCH)
    values = np.asarray(catalogue.columns["value"])[BATCH.rows]
    if kind == TensorProto.UINT8:
        values = values.astype(np.uint8)
    assert ranked.candidates["score"].tolist() == values.tolist()
    assert ranked.candidates["score"].dtype == np.float32


def test_rejects_a_wrong_number_of_scores(tmp_path: Path, catalogue: Catalogue) -> None:
    write_model(tmp_path, helper.make_node("ReduceMean", ["value"], ["out"]))
    with pytest.raises(
        StageFailed,
        match=r"output out of own: expected one number per candidate, got shape \(1,\) for 3 candidates in 2 requests",
    ):
        scorer(tmp_path, catalogue).scores(BATCH, "out")


def test_rejects_weights_that_are_not_a_model(tmp_path: Path, catalogue: Catalogue) -> None:
    write_model(tmp_path, helper.make_node("Identity", ["value"], ["out"]))
    with (tmp_path / "own" / "model.onnx").open("ab") as weights:
        weights.write(b"x")
    with pytest.raises(ArtifactError, match="the copy is damaged"):
        scorer(tmp_path, catalogue)

    def nonsense(staging: Path) -> None:
        (staging / "model.onnx").write_text("no model")

    signature = Signature(inputs=(InputSpec(name="value", source="item.value"),))
    write_artifact(
        tmp_path / "own", name="own", signature=signature, weights="model.onnx", write_files=nonsense
    )
    with pytest.raises(ModelError, match="cannot be loaded by ONNX Runtime"):
        scorer(tmp_path, catalogue)
