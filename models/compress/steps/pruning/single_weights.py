"""Unstructured pruning: the smallest weights become zeros. Also keeps zeros while a model is tuned.

The matrices keep their size, so a dense runtime computes as much as before. Only the compressed file gets smaller.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from models.architectures.resizing import parts_of
from models.compress.steps.modules import linears_of

Scope = Literal["global", "layer"]
_HALF = 16
_LOWER = (1 << _HALF) - 1


def matrices_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the weights of all linear layers by dotted name, without biases, norms and embeddings."""
    found: dict[str, Tensor] = {}
    for name, product in linears_of(module).items():
        first, second = parts_of(product)
        parts = {name: first} if first is second else {f"{name}.first": first, f"{name}.second": second}
        found |= {f"{part}.weight": layer.weight for part, layer in parts.items()}
    return found


def zero_smallest(module: nn.Module, share: float, scope: Scope) -> None:
    """Set the smallest weights of the linear layers to zero, in place.

    Args:
        module: the module.
        share: share of the weights that are zero afterwards. Weights that were zero count.
        scope: whether the share holds over all matrices together, or for each matrix.
    """
    weights = list(matrices_of(module).values())
    with torch.no_grad():
        for together in [[weight] for weight in weights] if scope == "layer" else [weights]:
            _zero(together, int(share * sum(weight.numel() for weight in together) + 1e-6))


def _zero(weights: Sequence[Tensor], count: int) -> None:
    """Set exactly ``count`` of the smallest weights to zero. Of equally small ones, the first ones.

    The matrices are read one at a time. Sorted together, they would take 16 bytes more for each weight.
    """
    if not count:
        return
    bound, left = _bound(weights, count)
    for weight in weights:
        sizes = _sizes(weight)
        zeros = sizes < bound
        if left:
            equal = (sizes == bound).nonzero().flatten()[:left]
            zeros[equal] = True
            left -= len(equal)
        weight.mul_((~zeros).view_as(weight))


def _bound(weights: Sequence[Tensor], count: int) -> tuple[int, int]:
    """Return the size of the ``count``-th smallest weight, and how many weights of this size are among them.

    Both halves of a size's bits are counted, the upper half first.
    """
    bound = 0
    for shift in (_HALF, 0):
        numbers = torch.zeros(1 << _HALF, dtype=torch.int64)
        for weight in weights:
            sizes = _sizes(weight)
            within = sizes if shift else sizes[sizes >> _HALF == bound >> _HALF]
            numbers += torch.bincount(within >> shift & _LOWER, minlength=len(numbers))
        reached = numbers.cumsum(0)
        digit = int((reached < count).sum())
        count -= int(reached[digit] - numbers[digit])
        bound |= digit << shift
    return bound, count


def _sizes(weight: Tensor) -> Tensor:
    """Return absolute values in float32 as int32 (N,): their bits have the same order."""
    return weight.detach().abs().float().flatten().view(torch.int32)


def share_of_zeros(module: nn.Module) -> float:
    """Return the share of zeros among the weights of linear layers."""
    weights = list(matrices_of(module).values())
    return sum(int((weight == 0).sum()) for weight in weights) / max(
        1, sum(weight.numel() for weight in weights)
    )


def hold_zeros(module: nn.Module) -> None:
    """Hide the zeros of partly zero matrices from the training, so that they stay zeros.

    AdamW neither moves nor decays a weight of zero without a gradient. A matrix of zeros only is a start value, and
    is trained.
    """
    for weight in matrices_of(module).values():
        kept = (weight.detach() != 0).to(weight.dtype)
        if 0 < int(kept.sum()) < kept.numel():
            weight.register_hook(partial(_masked, kept))  # type: ignore[no-untyped-call]


def _masked(kept: Tensor, gradient: Tensor) -> Tensor:
    return gradient * kept.to(gradient.device)
