"""The second moments of the inputs that linear layers get, by which the errors of a factorization count."""

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.resizing import parts_of
from models.compress.steps.losses import steps_of
from models.compress.steps.modules import linears_of
from models.errors import TrainingError
from models.training.examples.lists import Lists


def second_moments(module: Architecture, lists: Lists) -> dict[str, Tensor]:
    """Return the mean of x x^T over the inputs x of each linear layer, (inputs, inputs), in 64 bits.

    Args:
        module: the module.
        lists: the lists that it scores, one at a time. Together they would be padded, and padding is unlike any input:
            a candidate at 0 degrees of latitude is far from all users.

    Raises:
        TrainingError: there are no lists.
    """
    if not len(lists):
        raise TrainingError(
            "low_rank.weighted: needs training lists, got none; build the data again, or set weighted: false"
        )
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    handles = []
    for name, product in linears_of(module).items():
        first = parts_of(product)[0]
        sums[name] = torch.zeros(first.in_features, first.in_features, dtype=torch.float64)
        counts[name] = 0

        def add(_layer: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
            rows = args[0].detach().reshape(-1, args[0].shape[-1])
            sums[name] += (rows.T @ rows).double()
            counts[name] += len(rows)

        handles.append(product.register_forward_pre_hook(add))
    module.eval()
    try:
        with torch.inference_mode():
            for step in steps_of(lists):
                module(step.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: total / max(1, counts[name]) for name, total in sums.items()}
