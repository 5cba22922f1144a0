"""Unstructured pruning: the smallest weights become zeros. Also keeps zeros while a model is tuned.

The matrices keep their size, so a dense runtime computes as much as before. Only the compressed file gets smaller.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from models.architectures.resizing import parts_of
from models.compress.steps.modules import linears_of

Scope = Literal["global", "layer"]


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
        if scope == "layer":
            for weight in weights:
                weight.mul_(_kept(weight.abs().flatten(), share).view_as(weight))
            return
        kept = _kept(torch.cat([weight.abs().flatten() for weight in weights]), share)
        parts = torch.split(kept, [weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.mul_(part.view_as(weight))


def _kept(sizes: Tensor, share: float) -> Tensor:
    """Return a mask (N,) that is 0 for exactly the smallest share of the sizes."""
    mask = torch.ones_like(sizes)
    mask[sizes.argsort(stable=True)[: int(share * len(sizes) + 1e-6)]] = 0.0
    return mask


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
