"""Embedding tables as int8 rows, gathered and dequantised inside the graph."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.compress.steps.quantization.embeddings.row_codec import encode_rows
from models.compress.steps.quantization.graph import Graph
from models.errors import TrainingError

if TYPE_CHECKING:
    from onnx import NodeProto

_SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Table:
    """An embedding table: a float32 matrix of which nodes gather rows, and which nothing else reads."""

    name: str
    rows: int
    width: int


def tables_of(graph: Graph, min_rows: int) -> list[Table]:
    """Return the embedding tables with at least ``min_rows`` rows."""
    found = []
    for name in dict.fromkeys(node.input[0] for node in graph.nodes if node.op_type == "Gather"):
        if not graph.is_weight(name) or not graph.is_float(name) or len(graph.shape(name)) != 2:
            continue
        rows, width = graph.shape(name)
        is_only_gathered = all(_gathers_rows(node, name) for node in graph.readers(name))
        if rows >= min_rows and width >= 1 and is_only_gathered:
            found.append(Table(name, rows, width))
    return found


def quantise_table(graph: Graph, table: Table) -> float:
    """Store a table as int8 rows. Return its relative error: the root mean square of the errors by that of the numbers.

    The error is measured on at most 1,000 evenly spaced rows.

    Raises:
        TrainingError: the table has a number that is NaN or infinite.
    """
    values = graph.values(table.name)
    sample = np.linspace(0, table.rows - 1, min(table.rows, _SAMPLE_ROWS)).astype(np.int64)
    with np.errstate(invalid="ignore"):
        if not np.isfinite(values).all():
            raise TrainingError(
                f"quantize: the table {table.name} has numbers that are NaN or infinite; train the model again"
            )
    coded = encode_rows(values)
    decoded = type(coded)(coded.rows[sample], coded.step, coded.middle).decoded()
    original = np.asarray(values[sample], dtype=np.float64)
    error = float(np.sqrt(np.square(decoded - original).mean()))
    size = float(np.sqrt(np.square(original).mean()))
    prefix = graph.new_name(f"{table.name}_int8")
    graph.put(prefix, coded.rows)
    graph.put(f"{prefix}_sizes", np.array([table.width, 1], dtype=np.int64))
    graph.put(f"{prefix}_step", np.asarray(coded.step))
    graph.put(f"{prefix}_middle", np.asarray(coded.middle))
    graph.put(f"{prefix}_flat", np.array([-1], dtype=np.int64))
    graph.put(f"{prefix}_width", np.array([table.width], dtype=np.int64))
    graph.nodes = [
        part
        for node in graph.nodes
        for part in (_dequantised(graph, node, prefix) if table.name in node.input else [node])
    ]
    return error / size if size else 0.0


def _gathers_rows(node: "NodeProto", table: str) -> bool:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    return node.op_type == "Gather" and axis in {0, -2} and list(node.input).count(table) == 1


def _dequantised(graph: Graph, node: "NodeProto", prefix: str) -> "list[NodeProto]":
    """Return the nodes that gather coded rows and compute their numbers.

    The rows are gathered once, split into numbers and codes, and dequantised in one pass with a scale per row.
    """
    from onnx import helper

    indices, output, base = node.input[1], node.output[0], graph.new_name(f"{node.name}_int8")
    flat = f"{prefix}_flat"
    nodes = []

    def add(kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        names = [f"{base}_{name}" if name != output else name for name in outputs]
        nodes.append(helper.make_node(kind, inputs, names, name=f"{base}_{outputs[0]}", **attributes))
        return names[0]

    wanted = add("Reshape", [indices, flat], "indices")
    rows = add("Gather", [prefix, wanted], "rows", axis=0)
    numbers = add("Split", [rows, f"{prefix}_sizes"], "numbers", "code", axis=1)
    codes = add("Cast", [add("Reshape", [f"{base}_code", flat], "codes")], "float", to=1)
    exponent = add("Add", [add("Mul", [codes, f"{prefix}_step"], "product"), f"{prefix}_middle"], "exponent")
    dequantised = add("DequantizeLinear", [numbers, add("Exp", [exponent], "scales")], "dequantised", axis=0)
    shape = add("Concat", [add("Shape", [indices], "leading"), f"{prefix}_width"], "shape", axis=0)
    add("Reshape", [dequantised, shape], output)
    return nodes
