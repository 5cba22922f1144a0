"""The loss of a model over labelled lists, in any layout, and single lists to measure it on."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from models.architectures.layers import FORBIDDEN
from models.training.examples.lists import Lists, Step
from models.training.fit_config import Loss
from models.training.losses import LossFunction, list_loss


def padded(scores: Tensor, step: Step) -> Tensor:
    """Return scores (B, M). A model with the layout ``flat`` or ``pairs`` returns one score per candidate, (N,)."""
    if scores.dim() > 1:
        return scores
    lists = torch.full(step.present.shape, FORBIDDEN, dtype=scores.dtype, device=scores.device)
    return lists.masked_scatter(step.present, scores)


def of_any_layout(loss_of: LossFunction) -> LossFunction:
    """Return a loss that also takes flat scores."""
    return lambda scores, step: loss_of(padded(scores, step), step)


def label_loss(loss: Loss) -> LossFunction:
    """Return the loss against the labels, for scores in any layout."""
    return of_any_layout(partial(list_loss, loss=loss))


def steps_of(lists: Lists) -> Iterator[Step]:
    """Yield the lists one at a time, so that nothing is padded and each list has a gradient of its own."""
    for requests in lists.by_size(1):
        yield lists.step(requests)
