"""Layers in int8 whose activations have fixed scales, as pairs of QuantizeLinear and DequantizeLinear (QDQ).

The scales come from training lists. A score then depends on its own activations only, and a call need not find their
range. ONNX Runtime and OpenVINO join the written nodes into products of int8 numbers.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from models.compress.steps.quantization.calibration.ranges import Ranges
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import Layer, is_product, put_weight

if TYPE_CHECKING:
    from onnx import NodeProto

_LEVELS = 255
_TINY = 1e-30
_MOST = 2**30
"""A bias in int32 is smaller than this, which leaves room for the sums."""


def quantise_static(
    graph: Graph, layers: Collection[Layer], ranges: Ranges, *, per_channel: bool, bits: int
) -> None:
    """Compute the layers with int8 weights, and uint8 activations in the given ranges.

    Args:
        graph: the graph, which is changed.
        layers: the layers to quantise.
        ranges: the ranges of their activations.
        per_channel: a scale for each column of the weights.
        bits: bits of the weights, 8 or 7.

    Raises:
        TrainingError: a layer has weights that are NaN or infinite.
    """
    from onnx import helper

    weights: dict[tuple[str, bool], str] = {}
    nodes: list[NodeProto] = []
    for layer in layers:
        name = put_weight(graph, layer, per_channel=per_channel, bits=bits)
        weights[layer.weight, layer.is_transposed] = name
        parts = [name, f"{name}_scale", f"{name}_zero"]
        nodes.append(
            helper.make_node("DequantizeLinear", parts, [f"{name}_float"], name=f"{name}_float", axis=1)
        )
    wanted = {name: layer for layer in layers for name in layer.nodes}
    rounded: dict[str, str] = {}
    for node in graph.nodes:
        product = wanted.get(node.name) if is_product(graph, node) else None
        if product is None:
            nodes.append(node)
            continue
        activations = node.input[0]
        if activations not in rounded:
            rounded[activations] = graph.new_name(f"{activations}_uint8")
            nodes += _rounded(graph, activations, ranges[activations], rounded[activations])
        nodes += _product(graph, node, rounded[activations], weights[product.weight, product.is_transposed])
    graph.nodes = nodes


def _rounded(graph: Graph, activations: str, limits: tuple[float, float], name: str) -> "list[NodeProto]":
    """Return the nodes that round activations to 256 levels. Zero is one of them, because padding must stay zero.

    Args:
        graph: the graph, which gets the scale and the zero point.
        activations: the name of the activations.
        limits: their range.
        name: the name of the levels in uint8. The other new names begin with it.
    """
    from onnx import helper

    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    step = max((high - low) / _LEVELS, _TINY)
    graph.put(f"{name}_scale", np.asarray(step, dtype=np.float32))
    graph.put(f"{name}_zero", np.asarray(np.rint(-low / step), dtype=np.uint8))
    parts = [f"{name}_scale", f"{name}_zero"]
    return [
        helper.make_node("QuantizeLinear", [activations, *parts], [name], name=f"{name}_quantise"),
        helper.make_node("DequantizeLinear", [name, *parts], [f"{name}_rounded"], name=f"{name}_dequantise"),
    ]


def _product(graph: Graph, node: "NodeProto", activations: str, weight: str) -> "list[NodeProto]":
    """Return the nodes that replace a product of activations in uint8 and a matrix in int8."""
    from onnx import helper

    inputs, output = [f"{activations}_rounded", f"{weight}_float"], node.output[0]
    base = graph.new_name(f"{node.name}_int8")
    bias = node.input[2] if node.op_type == "Gemm" and len(node.input) > 2 else ""
    if not bias:
        return [helper.make_node("MatMul", inputs, [output], name=base)]
    parts = _integer_bias(graph, bias, f"{activations}_scale", weight, base)
    if parts is None:
        return [
            helper.make_node("MatMul", inputs, [f"{base}_product"], name=base),
            helper.make_node("Add", [f"{base}_product", bias], [output], name=f"{base}_add"),
        ]
    return [
        helper.make_node("DequantizeLinear", parts, [f"{base}_bias"], name=f"{base}_bias", axis=0),
        helper.make_node("Gemm", [*inputs, f"{base}_bias"], [output], name=base),
    ]


def _integer_bias(graph: Graph, bias: str, activations: str, weight: str, base: str) -> list[str] | None:
    """Add a bias in int32, in units of the sums of products. None: it is too large, or is no vector of weights.

    ONNX Runtime joins a product and its bias only in this form.
    """
    scales = graph.values(activations).astype(np.float64) * graph.values(f"{weight}_scale")
    if not graph.is_weight(bias) or not graph.is_float(bias) or graph.shape(bias) != graph.shape(weight)[1:]:
        return None
    values = np.rint(graph.values(bias) / scales)
    if not (np.abs(values) < _MOST).all() or not (scales.astype(np.float32) > 0).all():
        return None
    graph.put(f"{base}_bias_int32", values.astype(np.int32))
    graph.put(f"{base}_bias_scale", scales.astype(np.float32))
    graph.put(f"{base}_bias_zero", np.zeros(scales.shape, dtype=np.int32))
    return [f"{base}_bias_int32", f"{base}_bias_scale", f"{base}_bias_zero"]
