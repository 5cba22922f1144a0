"""Tidies a graph, so that steps find its layers and tables however they were exported."""

from typing import TYPE_CHECKING

from models.compress.steps.quantization.graph.names import has_branches
from models.compress.steps.quantization.graph.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Collection

    from onnx import NodeProto


def tidied(nodes: "list[NodeProto]", weights: Weights, outputs: "Collection[str]") -> "list[NodeProto]":
    """Turn constants into weights, skip copies of weights, write products by rows, and name every node.

    Args:
        nodes: the nodes, which are changed.
        weights: the weights. Constants are added.
        outputs: names of the graph's outputs.

    Returns:
        the nodes that remain.
    """
    from onnx import numpy_helper

    _name(nodes)
    if has_branches(nodes):  # these also read values of the graph
        return nodes
    same: dict[str, str] = {}
    kept: list[NodeProto] = []
    for node in nodes:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)
        if node.op_type == "Identity" and node.input[0] in weights and node.output[0] not in outputs:
            same[node.output[0]] = node.input[0]
            continue
        tensors = [each.t for each in node.attribute if each.name == "value" and len(each.t.dims) > 1]
        if node.op_type == "Constant" and tensors:
            weights.put(node.output[0], numpy_helper.to_array(tensors[0]))
            continue
        kept += _untransposed(node)
    return kept


def _name(nodes: "list[NodeProto]") -> None:
    """Name the nodes that have no name."""
    names = {node.name for node in nodes}
    for number, node in enumerate(nodes):
        if not node.name:
            node.name = f"{node.op_type}_{number}"
            while node.name in names:
                node.name += "_"
            names.add(node.name)


def _untransposed(node: "NodeProto") -> "list[NodeProto]":
    """Return a product as one whose activations are rows. ONNX Runtime joins the two nodes again."""
    from onnx import helper

    flag = next((each for each in node.attribute if node.op_type == "Gemm" and each.name == "transA"), None)
    if flag is None or not flag.i:
        return [node]
    flag.i = 0
    turned = f"{node.name}_rows"
    turn = helper.make_node("Transpose", [node.input[0]], [turned], name=turned, perm=[1, 0])
    node.input[0] = turned
    return [turn, node]
