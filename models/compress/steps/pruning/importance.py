"""How important the units of a module are.

- ``magnitude``: the squared norm of the unit's rows and columns.
- ``taylor``: the squared change of the loss, to first order, if the unit's output becomes zero (Molchanov et al. 2019,
  arXiv:1906.10771). For a head this is the gradient of its gate, as in Michel et al. 2019 (arXiv:1905.10650).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.resizing import parts_of
from models.compress.steps.losses import steps_of
from models.compress.steps.pruning.units import Units
from models.errors import TrainingError
from models.training.examples.lists import Lists
from models.training.losses import LossFunction


def by_magnitude(module: nn.Module, groups: Sequence[Units]) -> list[Tensor]:
    """Return the units' squared norms, one tensor (units,) for each group."""
    return [_norms(module, units) for units in groups]


def by_loss(
    module: Architecture, groups: Sequence[Units], lists: Lists, loss_of: LossFunction
) -> list[Tensor]:
    """Return the mean square of the loss's first-order change without each unit, one tensor (units,) for each group.

    A unit's output is scaled by a gate of 1. The gate's gradient is the sum of weight times gradient over the columns
    that read the unit.

    Args:
        module: the module. Its weights do not change.
        groups: the units.
        lists: lists with labels.
        loss_of: the loss.

    Raises:
        TrainingError: there are no lists, or their loss is not finite.
    """
    totals = [torch.zeros(units.count(module)) for units in groups]
    steps = 0
    module.eval()
    for step in steps_of(lists):
        module.zero_grad(set_to_none=True)
        torch.autograd.backward(loss_of(module(step.inputs), step))
        for total, units in zip(totals, groups, strict=True):
            total.add_(_gate_gradients(module, units).square())
        steps += 1
    module.zero_grad(set_to_none=True)
    if not steps or not all(torch.isfinite(total).all() for total in totals):
        raise TrainingError(
            f"prune.importance: taylor needs lists with a finite loss, got {len(lists)} lists; build the data again, "
            f"or set importance: magnitude"
        )
    return [total / steps for total in totals]


def _norms(module: nn.Module, units: Units) -> Tensor:
    total = torch.zeros(units.count(module))
    for name in units.made_by:
        weight = parts_of(module.get_submodule(name))[1].weight.detach()
        total += weight.square().sum(dim=1).view(-1, units.block).sum(dim=1)
    for name in units.read_by:
        weight = parts_of(module.get_submodule(name))[0].weight.detach()
        total += weight.square().sum(dim=0).view(-1, units.block).sum(dim=1)
    return total


def _gate_gradients(module: nn.Module, units: Units) -> Tensor:
    total = torch.zeros(units.count(module))
    for name in units.read_by:
        weight = parts_of(module.get_submodule(name))[0].weight
        if weight.grad is not None:
            total += (weight.detach() * weight.grad).sum(dim=0).view(-1, units.block).sum(dim=1)
    return total
