"""Small ONNX graphs for tests."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.signature import InputSpec, OutputSpec, Signature

WIDTH = 24
SIGNATURE = Signature(
    inputs=(InputSpec(name="x", source="item.x", shape=(WIDTH,)),), outputs=(OutputSpec(name="score"),)
)


def graph_bytes(
    operator: str = "Relu", *, domain: str = "", opset: int = 17, ir_version: int = 8, seed: int = 0
) -> bytes:
    """Return a graph: a matrix product, then an operator, from ``x`` (N, 24) to ``score`` (N, 24)."""
    weights = np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weights"], ["product"]),
            helper.make_node(operator, ["product"], ["score"], domain=domain),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", WIDTH])],
        [numpy_helper.from_array(weights, "weights")],
    )
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    return bytes(model.SerializeToString())


def write_graph(path: Path, *, seed: int = 0, weights_beside: bool = False) -> None:
    """Write the graph of ``graph_bytes``, with its weights in another file if ``weights_beside``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model = onnx.load_model_from_string(graph_bytes(seed=seed))
    if weights_beside:
        beside = f"{path.name}.data"
        path.with_name(beside).unlink(missing_ok=True)
        onnx.save(model, path, save_as_external_data=True, location=beside, size_threshold=0)
    else:
        onnx.save(model, path)
