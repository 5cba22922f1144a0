"""The layers of a graph: products of activations and a matrix of weights."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.weight_codec import encode_matrix

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True, slots=True)
class Layer:
    """A matrix of weights, with the nodes that multiply by it.

    Attributes:
        name: its name for people.
        weight: the weight's name in the graph.
        nodes: the nodes' names. A ranker multiplies history and candidates by the same matrix, for example.
        is_transposed: whether the weight is (columns, rows), as in PyTorch's linear layers.
    """

    name: str
    weight: str
    nodes: tuple[str, ...]
    is_transposed: bool


def layers_of(graph: Graph) -> list[Layer]:
    """Return the layers in the order of the graph: ``MatMul`` and ``Gemm`` with a float32 matrix as second input."""
    found: dict[tuple[str, bool], list[str]] = {}
    for node in graph.nodes:
        if is_product(graph, node):
            found.setdefault((node.input[1], attribute_of(node, "transB") == 1), []).append(node.name)
    layers, taken = [], set[str]()
    for (weight, is_transposed), nodes in found.items():
        name = _name_of(weight, nodes)
        taken.add(name if name not in taken else f"{name} (transposed)")
        layers.append(Layer(name, weight, tuple(nodes), is_transposed))
    return layers


def activations_of(graph: Graph, layers: Collection[Layer]) -> list[str]:
    """Return the names of the values that the layers multiply, each once."""
    wanted = {name for layer in layers for name in layer.nodes}
    return list(dict.fromkeys(node.input[0] for node in graph.nodes if node.name in wanted))


def is_product(graph: Graph, node: "NodeProto") -> bool:
    """Return whether a node multiplies activations by a float32 matrix of weights."""
    if node.domain not in {"", "ai.onnx"} or node.op_type not in {"MatMul", "Gemm"}:
        return False
    weight = node.input[1]
    if graph.is_weight(node.input[0]) or not graph.is_weight(weight) or not graph.is_float(weight):
        return False
    if len(graph.shape(weight)) != 2 or 0 in graph.shape(weight):
        return False
    plain = attribute_of(node, "alpha", 1.0) == 1.0 and attribute_of(node, "beta", 1.0) == 1.0
    return node.op_type == "MatMul" or (plain and attribute_of(node, "transA") == 0)


def attribute_of(node: "NodeProto", name: str, default: float = 0) -> float:
    """Return a number among a node's attributes."""
    for attribute in node.attribute:
        if attribute.name == name:
            return float(attribute.f if attribute.type == attribute.FLOAT else attribute.i)
    return default


def matrix_of(graph: Graph, layer: Layer) -> NDArray[np.float32]:
    """Return a layer's matrix as (rows, columns). The layer computes ``activations @ matrix``."""
    values = graph.values(layer.weight)
    return values.T if layer.is_transposed else values


def put_weight(graph: Graph, layer: Layer, *, per_channel: bool, bits: int) -> str:
    """Add a layer's matrix in int8, as (rows, columns). Return its name.

    The scales and zero points have the same name with "_scale" and "_zero".

    Raises:
        TrainingError: the layer has weights that are NaN or infinite.
    """
    coded = encode_matrix(layer.name, matrix_of(graph, layer), per_channel=per_channel, bits=bits)
    name = graph.new_name(f"{layer.weight}{'_t' * layer.is_transposed}_int8")
    graph.put(name, coded.values)
    graph.put(f"{name}_scale", coded.scales)
    graph.put(f"{name}_zero", np.zeros(coded.scales.shape, dtype=np.int8))
    return name


def _name_of(weight: str, nodes: Sequence[str]) -> str:
    """Return a layer's name: the weight's own, or the node's if the exporter gave the weight a number only."""
    if weight.startswith("onnx::"):
        return nodes[0].strip("/").removesuffix("/MatMul").removesuffix("/Gemm").replace("/", ".")
    return weight.removeprefix("module.").removesuffix(".weight")
