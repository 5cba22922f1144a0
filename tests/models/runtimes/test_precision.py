"""The number types of the weights, also of models whose numbers are attributes."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from models.artifact import Artifact, write_artifact
from models.runtimes.precision import precisions
from models.signature import InputSpec, Signature


def written(root: Path, node: onnx.NodeProto) -> Artifact:
    """Write an artifact with a graph of one node."""
    values = helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n", 3])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph([node], "small", [values], [score]), opset_imports=opsets)
    return write_artifact(
        root,
        name="small",
        signature=Signature(inputs=(InputSpec(name="values", source="item.values", shape=(3,)),)),
        weights="model.onnx",
        write_files=lambda folder: onnx.save(model, folder / "model.onnx"),
    )


def test_numbers_of_trees_count_as_weights(tmp_path: Path) -> None:
    node = helper.make_node(
        "TreeEnsembleRegressor", ["values"], ["score"], domain="ai.onnx.ml", target_weights=[0.5, 1.5]
    )
    artifact = written(tmp_path / "a", node)
    assert precisions(tmp_path / "a", artifact) == {"model.onnx": "float32"}


def test_tensors_of_trees_have_their_own_type(tmp_path: Path) -> None:
    weights = helper.make_tensor("weights", TensorProto.DOUBLE, [2], [0.5, 1.5])
    node = helper.make_node(
        "TreeEnsembleRegressor", ["values"], ["score"], domain="ai.onnx.ml", target_weights_as_tensor=weights
    )
    artifact = written(tmp_path / "a", node)
    assert precisions(tmp_path / "a", artifact) == {"model.onnx": "float64"}
