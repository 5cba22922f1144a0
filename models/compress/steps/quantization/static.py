"""Layers in int8 whose activations have fixed scales, as pairs of QuantizeLinear and DequantizeLinear (QDQ).

The scales come from training lists. A score then depends on its own activations only, and a call need not find their
range. ONNX Runtime and OpenVINO join the written nodes into products of int8 numbers.
"""

from collections.abc import Collection, Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.compress.steps.quantization.calibration import Calls, run_graph
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers import Layer, is_product, put_weight
from models.compress.steps.quantization.options import CalibrationMethod
from models.errors import TrainingError

if TYPE_CHECKING:
    from onnx import NodeProto

Ranges = Mapping[str, tuple[float, float]]
"""The range of each value, by name."""
_BINS, _QUANTISED_BINS = 512, 128
_LEVELS = 255
_TINY = 1e-30
_MOST = 2**30
"""A bias in int32 is smaller than this, which leaves room for the sums."""


def activation_ranges(
    graph: Graph, layers: Collection[Layer], calls: Calls, method: CalibrationMethod, percentile: float
) -> Ranges:
    """Return the ranges of the layers' activations.

    ``minmax`` takes the smallest and the largest number. ``percentile`` cuts the same share of the numbers off at
    both ends. ``entropy`` is ONNX Runtime's own calibration (Migacz 2017, "8-bit Inference with TensorRT").

    Raises:
        TrainingError: activations are NaN or infinite.
        RuntimeFailure: ONNX Runtime cannot execute the graph.
    """
    wanted = {name for layer in layers for name in layer.nodes}
    names = list(dict.fromkeys(node.input[0] for node in graph.nodes if node.name in wanted))
    seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for values in run_graph(graph, calls, names):
        for name, found in zip(names, values, strict=True):
            seen[name].append(found.reshape(-1))
    return {name: _range(name, np.concatenate(parts), method, percentile) for name, parts in seen.items()}


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
    done: set[str] = set()
    for node in graph.nodes:
        product = wanted.get(node.name) if is_product(graph, node) else None
        if product is None:
            nodes.append(node)
            continue
        if node.input[0] not in done:
            done.add(node.input[0])
            nodes += _rounded(graph, node.input[0], ranges[node.input[0]])
        nodes += _product(graph, node, weights[product.weight, product.is_transposed])
    graph.nodes = nodes


def _range(
    name: str, values: NDArray[np.float32], method: CalibrationMethod, percentile: float
) -> tuple[float, float]:
    if not values.size:
        return 0.0, 0.0
    if not np.isfinite(values).all():
        raise TrainingError(
            f"quantize: the activations {name} are NaN or infinite on the calibration lists; train the model again"
        )
    low, high = float(values.min()), float(values.max())
    if method == "minmax" or low == high:
        return low, high
    if method == "percentile":
        low, high = (float(each) for each in np.percentile(values, [100 - percentile, percentile]))
        return low, high
    return _entropy_range(name, values)


def _entropy_range(name: str, values: NDArray[np.float32]) -> tuple[float, float]:
    from onnxruntime.quantization.calibrate import HistogramCollector

    collector = HistogramCollector(
        method="entropy",
        symmetric=False,
        num_bins=_BINS,
        num_quantized_bins=_QUANTISED_BINS,
        percentile=100.0,
        scenario="same",
    )
    with redirect_stdout(StringIO()):  # it prints its settings
        collector.collect({name: [values]})
        low, high = collector.compute_collection_result()[name][:2]
    return float(low), float(high)


def _rounded(graph: Graph, name: str, limits: tuple[float, float]) -> "list[NodeProto]":
    """Return the nodes that round activations to 256 levels. Zero is one of them, because padding must stay zero."""
    from onnx import helper

    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    step = max((high - low) / _LEVELS, _TINY)
    graph.put(f"{name}_scale", np.asarray(step, dtype=np.float32))
    graph.put(f"{name}_zero", np.asarray(np.rint(-low / step), dtype=np.uint8))
    parts, stored = [f"{name}_scale", f"{name}_zero"], f"{name}_uint8"
    return [
        helper.make_node("QuantizeLinear", [name, *parts], [stored], name=f"{name}_quantise"),
        helper.make_node(
            "DequantizeLinear", [stored, *parts], [f"{name}_rounded"], name=f"{name}_dequantise"
        ),
    ]


def _product(graph: Graph, node: "NodeProto", weight: str) -> "list[NodeProto]":
    from onnx import helper

    inputs, output, base = (
        [f"{node.input[0]}_rounded", f"{weight}_float"],
        node.output[0],
        f"{node.name}_int8",
    )
    bias = node.input[2] if node.op_type == "Gemm" and len(node.input) > 2 else ""
    if not bias:
        return [helper.make_node("MatMul", inputs, [output], name=base)]
    parts = _integer_bias(graph, bias, f"{node.input[0]}_scale", weight, base)
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
