"""Layers in int8 whose activations are scaled at each call, as ONNX Runtime's dynamic quantisation writes them.

A call's activations before a layer share one scale. So a score depends slightly on the other candidates and requests in
the call.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import Layer, is_product, put_weight

if TYPE_CHECKING:
    from onnx import NodeProto


def quantise_dynamic(graph: Graph, layers: Collection[Layer], *, per_channel: bool, bits: int) -> None:
    """Compute the layers with int8 weights and uint8 activations.

    ONNX Runtime joins the written nodes into its operator ``DynamicQuantizeMatMul``.

    Args:
        graph: the graph, which is changed.
        layers: the layers to quantise.
        per_channel: a scale for each column of the weights.
        bits: bits of the weights, 8 or 7.

    Raises:
        TrainingError: a layer has weights that are NaN or infinite.
    """
    coded: dict[tuple[str, bool], str] = {}
    for layer in layers:
        coded[layer.weight, layer.is_transposed] = put_weight(
            graph, layer, per_channel=per_channel, bits=bits
        )
    wanted = {name: layer for layer in layers for name in layer.nodes}
    scaled: dict[str, str] = {}
    nodes: list[NodeProto] = []
    for node in graph.nodes:
        product = wanted.get(node.name) if is_product(graph, node) else None
        if product is None:
            nodes.append(node)
            continue
        if node.input[0] not in scaled:  # several layers often read the same activations
            scaled[node.input[0]] = graph.new_name(f"{node.input[0]}_uint8")
            nodes.append(_scaled(node.input[0], scaled[node.input[0]]))
        weight, base = coded[product.weight, product.is_transposed], graph.new_name(f"{node.name}_int8")
        nodes += _product(node, scaled[node.input[0]], weight, base)
    graph.nodes = nodes


def _scaled(activations: str, name: str) -> "NodeProto":
    from onnx import helper

    outputs = [name, f"{name}_scale", f"{name}_zero"]
    return helper.make_node("DynamicQuantizeLinear", [activations], outputs, name=f"{name}_quantise")


def _product(node: "NodeProto", activations: str, weight: str, base: str) -> "list[NodeProto]":
    """Return the nodes that replace a product.

    Args:
        node: the product.
        activations: the name of its activations in uint8. Names of their scale and zero point begin with it.
        weight: the name of its matrix in int8, likewise.
        base: the new names begin with it.
    """
    from onnx import TensorProto, helper

    has_bias = node.op_type == "Gemm" and len(node.input) > 2 and bool(node.input[2])
    product = f"{base}_scaled" if has_bias else node.output[0]
    nodes = [
        helper.make_node(
            "MatMulInteger",
            [activations, weight, f"{activations}_zero", f"{weight}_zero"],
            [f"{base}_integers"],
            name=f"{base}_product",
        ),
        helper.make_node(
            "Cast", [f"{base}_integers"], [f"{base}_floats"], name=f"{base}_cast", to=TensorProto.FLOAT
        ),
        helper.make_node(
            "Mul", [f"{activations}_scale", f"{weight}_scale"], [f"{base}_scale"], name=f"{base}_scales"
        ),
        helper.make_node("Mul", [f"{base}_floats", f"{base}_scale"], [product], name=f"{base}_scaling"),
    ]
    if has_bias:
        nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]], name=f"{base}_bias"))
    return nodes
