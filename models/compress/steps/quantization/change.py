"""Changes a graph as the options of ``quantize`` say."""

from collections.abc import Callable, Mapping
from pathlib import Path

from models.compress.steps.base import Outcome, Work
from models.compress.steps.quantization.dynamic import quantise_dynamic
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers import Layer, layers_of
from models.compress.steps.quantization.options import Mode, QuantizeOptions
from models.compress.steps.quantization.tables import quantise_table, tables_of
from models.cpu_flags import sums_int8_exactly
from models.errors import TrainingError

Change = Callable[[QuantizeOptions, Graph, Path, Work], Outcome]


def change(options: QuantizeOptions, source: Path, work: Work) -> tuple[Graph, Outcome]:
    """Return the changed graph, and the facts and tables of the change.

    Args:
        options: the step's options.
        source: the parent's graph.
        work: the lists for calibration.

    Raises:
        TrainingError: nothing in the graph can be quantised, or it has weights that are NaN or infinite.
        ArtifactError: the graph cannot be read, or its opset is too old.
    """
    graph = Graph.read(source)
    return graph, _CHANGES[options.mode](options, graph, source, work)


def _dynamic(options: QuantizeOptions, graph: Graph, source: Path, work: Work) -> Outcome:
    layers = _layers(graph, source)
    bits = weight_bits(options)
    quantise_dynamic(graph, layers, per_channel=options.per_channel, bits=bits)
    return Outcome(facts={"layers": len(layers), "weight_bits": bits})


def _embeddings(options: QuantizeOptions, graph: Graph, source: Path, work: Work) -> Outcome:
    tables = tables_of(graph, options.min_rows)
    if not tables:
        raise TrainingError(
            f"quantize: {source} has no embedding table with at least min_rows: {options.min_rows} rows; lower "
            f"min_rows, or use mode: dynamic"
        )
    rows = [
        {
            "table": table.name,
            "rows": table.rows,
            "width": table.width,
            "error": quantise_table(graph, table),
        }
        for table in tables
    ]
    return Outcome(facts={"tables": len(tables)}, tables={"Embedding tables": rows})


def weight_bits(options: QuantizeOptions) -> int:
    """Return the bits of a layer's weights: 7 if this CPU would overflow with 8."""
    is_reduced = (not sums_int8_exactly()) if options.reduce_range is None else options.reduce_range
    return 7 if is_reduced else 8


def _layers(graph: Graph, source: Path) -> list[Layer]:
    layers = layers_of(graph)
    if not layers:
        raise TrainingError(
            f"quantize: {source} has no layer to quantise, which is a MatMul or Gemm with a float32 matrix of weights; "
            f"leave out the step. Trees have no layers, and a quantised model has none left"
        )
    return layers


_CHANGES: Mapping[Mode, Change] = {"dynamic": _dynamic, "embeddings": _embeddings}
