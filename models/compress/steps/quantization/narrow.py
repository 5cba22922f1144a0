"""Weights in 16 bits, widened inside the graph."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from models.compress.steps.quantization.embeddings.tables import tables_of
from models.compress.steps.quantization.graph import Graph
from models.errors import TrainingError

if TYPE_CHECKING:
    from onnx import NodeProto

Narrow = Literal["float16", "bfloat16"]


def store_narrow(graph: Graph, kind: Narrow) -> int:
    """Store all float32 matrices in 16 bits. Return their number.

    A table's rows are widened after they were gathered. Other matrices are widened when the graph is loaded.

    Raises:
        TrainingError: a weight is NaN, infinite or too large for float16.
    """
    import ml_dtypes
    from onnx import TensorProto, helper

    dtype = np.dtype(np.float16) if kind == "float16" else np.dtype(ml_dtypes.bfloat16)
    tables = {table.name for table in tables_of(graph, 1)}
    widened: dict[str, str] = {}
    gathered: set[str] = set()
    first: list[NodeProto] = []
    nodes: list[NodeProto] = []
    for node in graph.nodes:
        for index, name in enumerate(node.input):
            if not graph.is_weight(name) or not graph.is_float(name) or len(graph.shape(name)) < 2:
                continue
            if name not in widened:
                stored = graph.put(
                    graph.new_name(f"{name}_{kind}"), _narrowed(name, graph.values(name), kind, dtype)
                )
                widened[name] = stored if name in tables else f"{stored}_wide"
                if name in tables:
                    gathered.add(stored)
                else:
                    first.append(
                        helper.make_node(
                            "Cast", [stored], [widened[name]], name=widened[name], to=TensorProto.FLOAT
                        )
                    )
            node.input[index] = widened[name]
        nodes.append(node)
        if node.op_type == "Gather" and node.input[0] in gathered:
            output, rows = node.output[0], graph.new_name(f"{node.name}_{kind}")
            node.output[0] = rows
            nodes.append(
                helper.make_node("Cast", [rows], [output], name=f"{rows}_wide", to=TensorProto.FLOAT)
            )
    graph.nodes = first + nodes
    return len(widened)


def _narrowed(name: str, values: NDArray[np.float32], kind: Narrow, dtype: np.dtype) -> NDArray[np.generic]:
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = np.asarray(values).astype(dtype)
    if np.isfinite(narrow.astype(np.float32)).all():
        return narrow
    if np.isfinite(values).all():
        raise TrainingError(
            f"quantize: {name} has numbers that are too large for {kind}, up to {np.abs(values).max():.3g}; use mode: "
            f"bfloat16"
        )
    raise TrainingError(f"quantize: {name} has numbers that are NaN or infinite; train the model again")
