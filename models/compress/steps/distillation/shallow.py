"""Students with some of their parent's layers."""

import copy

from torch import nn

from models.architectures.base import Architecture
from models.compress.steps.modules import rebuilt
from models.compress.steps.pruning.whole_layers import layer_list, with_layers
from models.errors import TrainingError


def kept_layers(total: int, count: int) -> list[int]:
    """Return ``count`` of ``total`` layer numbers, evenly spaced, with the first and the last one.

    DistilBERT began in this way with every second layer of BERT (Sanh et al. 2019, arXiv:1910.01108).
    """
    if count == 1:
        return [total - 1]
    return [round(index * (total - 1) / (count - 1)) for index in range(count)]


def with_fewer_layers(parent: Architecture, count: int) -> Architecture:
    """Return a new module with some of a parent's layers, and all of its other weights.

    Raises:
        TrainingError: the parent has no layers that can be left out, or not more than ``count``.
    """
    path = layer_list(parent)
    total = len(parent.get_submodule(path)) if path else 0  # type: ignore[arg-type]
    if count >= total:
        raise TrainingError(
            f"student.layers: must be below the parent's {total} layers, got {count}; lower it, or choose another "
            f"architecture"
        )
    smaller = copy.deepcopy(parent)
    layers = smaller.get_submodule(path)
    assert isinstance(layers, nn.ModuleList)
    kept = set(kept_layers(total, count))
    for index in reversed(range(total)):
        if index not in kept:
            del layers[index]
    return rebuilt(smaller, with_layers(parent.options, count))
