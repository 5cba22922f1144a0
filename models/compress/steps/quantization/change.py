"""Changes a graph as the options of ``quantize`` say."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.compress.rows import Table
from models.compress.steps.base import Model, Outcome, Work
from models.compress.steps.quantization.calibration.calls import Calls
from models.compress.steps.quantization.calibration.ranges import activation_ranges
from models.compress.steps.quantization.embeddings.tables import quantise_table, tables_of
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.dynamic import quantise_dynamic
from models.compress.steps.quantization.layers.layers import Layer, activations_of, layers_of
from models.compress.steps.quantization.layers.static import quantise_static
from models.compress.steps.quantization.layers.weight_codec import weight_bits
from models.compress.steps.quantization.narrow import Narrow, store_narrow
from models.compress.steps.quantization.options import Budget, Mode, QuantizeOptions
from models.compress.steps.quantization.sensitivity.choice import TITLE, chosen_layers
from models.errors import TrainingError
from models.extras import require

Change = Callable[[QuantizeOptions, Graph, Model, Work], Outcome]


def change(options: QuantizeOptions, source: Path, parent: Model, work: Work) -> tuple[Graph, Outcome]:
    """Return the changed graph, and the facts and tables of the change.

    Args:
        options: the step's options.
        source: the parent's graph.
        parent: the parent.
        work: the lists for calibration.

    Raises:
        TrainingError: nothing in the graph can be quantised, or it has weights that are NaN or infinite.
        ArtifactError: the graph cannot be read, or its opset is too old.
    """
    graph = Graph.read(source)
    return graph, _CHANGES[options.mode](options, graph, parent, work)


def _dynamic(options: QuantizeOptions, graph: Graph, parent: Model, work: Work) -> Outcome:
    layers = _layers(graph, parent)
    bits = weight_bits(options.reduce_range)

    def quantise(changed: Graph, some: Collection[Layer]) -> None:
        quantise_dynamic(changed, some, per_channel=options.per_channel, bits=bits)

    chosen, table = chosen_layers(options, graph, layers, quantise, parent, work)
    quantise(graph, chosen)
    return _outcome({"weight_bits": bits}, layers, chosen, table)


def _static(options: QuantizeOptions, graph: Graph, parent: Model, work: Work) -> Outcome:
    layers = _layers(graph, parent)
    bits, calibration = weight_bits(options.reduce_range), options.calibration
    calls = Calls.of(work, parent.artifact.signature, "train", calibration.lists)
    names = activations_of(graph, layers)
    ranges = activation_ranges(graph, names, calls, calibration.method, calibration.percentile)

    def quantise(changed: Graph, some: Collection[Layer]) -> None:
        quantise_static(changed, some, ranges, per_channel=options.per_channel, bits=bits)

    chosen, table = chosen_layers(options, graph, layers, quantise, parent, work)
    quantise(graph, chosen)
    rows = [{"activations": name, "low": low, "high": high} for name, (low, high) in ranges.items()]
    facts = {"weight_bits": bits, "lists": len(calls.inputs)}
    return _outcome(facts, layers, chosen, table, {"Ranges of activations": rows})


def _nncf(options: QuantizeOptions, graph: Graph, parent: Model, work: Work) -> Outcome:
    require(["nncf", "openvino"], "compress")
    from models.compress.steps.quantization.layers.accuracy_control import quantise_with_control

    layers, signature = _layers(graph, parent), parent.artifact.signature
    budget = options.budget or Budget()
    calibration = Calls.of(work, signature, "train", options.calibration.lists)
    judged = Calls.of(work, signature, "select", budget.lists)
    quantised = quantise_with_control(
        graph, layers, calibration, judged, signature.outputs[0].name, budget.max_ndcg_loss
    )
    left = len(layers_of(quantised))
    graph.take(quantised)
    return Outcome(facts={"layers": len(layers) - left, "kept": left, "lists": len(calibration.inputs)})


def _narrow(options: QuantizeOptions, graph: Graph, parent: Model, work: Work) -> Outcome:
    kind: Narrow = "float16" if options.mode == "float16" else "bfloat16"
    count = store_narrow(graph, kind)
    if not count:
        raise TrainingError(
            f"quantize: {parent.root} has no float32 matrix to store in {kind}; leave out the step"
        )
    return Outcome(facts={"weights": count})


def _embeddings(options: QuantizeOptions, graph: Graph, parent: Model, work: Work) -> Outcome:
    tables = tables_of(graph, options.min_rows)
    if not tables:
        raise TrainingError(
            f"quantize: {parent.root} has no embedding table with at least min_rows: {options.min_rows} rows; lower "
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


def _outcome(
    facts: Mapping[str, Any],
    layers: Sequence[Layer],
    chosen: Sequence[Layer],
    sensitivity: Table,
    tables: Mapping[str, Table] = MappingProxyType({}),
) -> Outcome:
    if not sensitivity:
        return Outcome({"layers": len(chosen), **facts}, tables)
    counts = {"layers": len(chosen), "kept": len(layers) - len(chosen)}
    return Outcome({**counts, **facts}, {TITLE: sensitivity, **tables})


def _layers(graph: Graph, parent: Model) -> list[Layer]:
    layers = layers_of(graph)
    if not layers:
        raise TrainingError(
            f"quantize: {parent.root} has no layer to quantise, which is a MatMul or Gemm with a float32 matrix of "
            f"weights; leave out the step. Trees have no layers, and a quantised model has none left"
        )
    return layers


_CHANGES: Mapping[Mode, Change] = {
    "dynamic": _dynamic,
    "static": _static,
    "embeddings": _embeddings,
    "float16": _narrow,
    "bfloat16": _narrow,
    "nncf": _nncf,
}
