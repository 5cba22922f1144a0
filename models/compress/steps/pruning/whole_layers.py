"""Removes whole layers one after another: each time the one without which selection NDCG@10 is highest."""

import copy
import math
from collections.abc import Callable

from pydantic import BaseModel
from torch import nn

from models.architectures.base import Architecture
from models.architectures.options import HistoryRankerOptions, ListwiseOptions, SequenceClassifierOptions
from models.compress.steps.modules import rebuilt
from models.errors import TrainingError


def layer_list(module: Architecture) -> str:
    """Return the dotted name of the list of layers that may be removed, or "" if the module has none."""
    if isinstance(module.options, HistoryRankerOptions | ListwiseOptions):
        return "layers"
    if not isinstance(module.options, SequenceClassifierOptions):
        return ""
    lists = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.ModuleList)]
    return max(lists, key=lambda named: len(named[1]), default=("", None))[0]


def number_to_remove(module: Architecture, layers: float) -> int:
    """Return how many layers the option ``layers`` removes.

    Args:
        module: the module.
        layers: the number of layers, or their share if it is below 1.

    Raises:
        TrainingError: the module has no layers, or none would be removed, or none would remain.
    """
    path = layer_list(module)
    if not path:
        name = getattr(module.options, "name", type(module).__name__)
        raise TrainingError(
            f"prune.layers: {name} has no layers to remove, got {layers:g}; remove the option"
        )
    total = len(module.get_submodule(path))  # type: ignore[arg-type]
    removed = int(layers * total + 1e-9) if layers < 1 else int(layers)
    if removed >= total:
        raise TrainingError(
            f"prune.layers: must leave at least one of {total} layers, got {layers:g}; lower it"
        )
    if not removed:
        raise TrainingError(
            f"prune.layers: must remove at least one of {total} layers, got {layers:g}; set it to 1, or "
            f"remove the option"
        )
    return removed


def without_layers(
    module: Architecture, number: int, quality: Callable[[Architecture], float]
) -> tuple[Architecture, list[int], list[dict[str, float]]]:
    """Remove layers one after another, each time the one without which the quality is highest.

    Args:
        module: the module. It stays as it is.
        number: layers to remove.
        quality: returns a module's quality, such as its NDCG on the selection lists.

    Returns:
        The new module, the removed layers' numbers in the original, and a row for each layer that was tried.

    Raises:
        TrainingError: a quality is not a number.
    """
    numbers = list(range(len(module.get_submodule(layer_list(module)))))  # type: ignore[arg-type]
    removed: list[int] = []
    rows: list[dict[str, float]] = []
    for _ in range(number):
        found = [quality(_skipping(module, index)) for index in range(len(numbers))]  # one copy at a time
        if not all(math.isfinite(value) for value in found):
            raise TrainingError(
                f"prune.layers: the selection lists must have labels above 0, got a quality of {found}; build the data "
                f"again"
            )
        rows += [
            {"removed_before": len(removed), "layer": layer, "ndcg_without": value}
            for layer, value in zip(numbers, found, strict=True)
        ]
        best = max(range(len(numbers)), key=lambda index: (found[index], index))
        module = _skipping(module, best)
        removed.append(numbers.pop(best))
    return module, removed, rows


def _skipping(module: Architecture, layer: int) -> Architecture:
    """Return a copy of the module without one layer."""
    smaller = copy.deepcopy(module)
    layers = smaller.get_submodule(layer_list(smaller))
    assert isinstance(layers, nn.ModuleList)
    del layers[layer]
    return rebuilt(smaller, with_layers(module.options, len(layers)))


def with_layers(options: BaseModel, layers: int) -> BaseModel:
    """Return the options of a module with this number of layers."""
    if not isinstance(options, SequenceClassifierOptions):
        return options.model_copy(update={"layers": layers})
    field = next(
        name for name in ("n_layers", "num_hidden_layers") if name != "n_layers" or name in options.config
    )
    return options.model_copy(update={"config": {**options.config, field: layers}})
