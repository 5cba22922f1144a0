"""Chooses the layers that are quantised: all but the most sensitive ones."""

from collections.abc import Sequence

import numpy as np

from models.compress.rows import Table
from models.compress.steps.base import Model, Work
from models.compress.steps.quantization.calibration.calls import Calls
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import Layer
from models.compress.steps.quantization.options import QuantizeOptions
from models.compress.steps.quantization.sensitivity.output_error import Quantise, output_errors
from models.errors import TrainingError

TITLE = "Layer sensitivity"
_LISTS, FEW_LISTS = 50, 8


def chosen_layers(
    options: QuantizeOptions,
    graph: Graph,
    layers: Sequence[Layer],
    quantise: Quantise,
    parent: Model,
    work: Work,
) -> tuple[list[Layer], Table]:
    """Return the layers to quantise, and a row for each layer. There are no rows if nothing is to be measured.

    Args:
        options: the step's options.
        graph: the parent's graph, which stays as it is.
        layers: its layers.
        quantise: quantises layers of a graph.
        parent: the parent.
        work: the lists.

    Raises:
        TrainingError: the share is too small to keep a layer, or the sensitivity cannot be measured.
    """
    if not options.measures_layers:
        return list(layers), []
    kept = kept_count(options.keep, len(layers))
    found = _measured(options, graph, layers, quantise, parent, work)
    order = np.argsort([-row["sensitivity"] for row in found], kind="stable").tolist()
    ranks = {index: rank for rank, index in enumerate(order, 1)}
    rows = [
        {
            "layer": layer.name,
            "parameters": int(np.prod(graph.shape(layer.weight))),
            **row,
            "rank": ranks[index],
            "precision": "float32" if ranks[index] <= kept else "int8",
        }
        for index, (layer, row) in enumerate(zip(layers, found, strict=True))
    ]
    chosen = [layer for index, layer in enumerate(layers) if ranks[index] > kept]
    return chosen, [rows[index] for index in order]


def kept_count(keep: float, layers: int) -> int:
    """Return how many layers stay in float32.

    Raises:
        TrainingError: a share above 0 is less than a layer.
    """
    kept = int(keep * layers + 1e-9)
    if keep and not kept:
        raise TrainingError(
            f"quantize.keep: must keep at least one of {layers} layers, got {keep:g}; raise it to {1 / layers:.3g}, or "
            f"remove it"
        )
    return kept


def _measured(
    options: QuantizeOptions,
    graph: Graph,
    layers: Sequence[Layer],
    quantise: Quantise,
    parent: Model,
    work: Work,
) -> list[dict[str, float]]:
    """Return the columns of each layer. The last one is "sensitivity"."""
    signature = parent.artifact.signature
    if options.sensitivity == "curvature":
        from models.compress.steps.quantization.sensitivity.curvature import curvatures

        lists = work.data.lists("train", signature, options.sensitivity_lists or FEW_LISTS)
        return curvatures(options, graph, layers, lists, parent, work)
    calls = Calls.of(work, signature, "train", options.sensitivity_lists or _LISTS)
    errors = output_errors(graph, layers, quantise, calls, signature.outputs[0].name, work.progress)
    return [{"sensitivity": error} for error in errors]
