"""Losses over padded lists: labels' and a teacher's."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from models.architectures.layers import FORBIDDEN
from models.training.config import Loss
from models.training.examples.lists import Step

LossFunction = Callable[[Tensor, Step], Tensor]


def list_loss(scores: Tensor, step: Step, loss: Loss) -> Tensor:
    """Give the loss of scores (B, M).

    softmax: cross-entropy of the list's softmax with its labels' shares (ListNet's top one, Cao et al. 2007);
    lists without a label above 0 count nothing. bce: each candidate by itself.
    """
    if loss == "bce":
        each = binary_cross_entropy_with_logits(scores, step.labels, reduction="none")
        return each[step.present].mean()
    mass = step.labels.sum(dim=1)
    each = -(step.labels * _log_shares(scores, step)).sum(dim=1) / mass.clamp(min=1e-6)
    return each.sum() / (mass > 0).sum().clamp(min=1)


def distillation_loss(scores: Tensor, step: Step, *, temperature: float, label_weight: float) -> Tensor:
    """Give the loss of a student's scores (B, M) before its teacher's, ``step.teacher``.

    Cross-entropy of the student's softmax over the list with the teacher's, both at ``temperature``, times its
    square, so that gradients keep their size (Hinton et al. 2015, arXiv:1503.02531; over lists as in RankDistil,
    Reddi et al. 2021); beside it the labels' own softmax loss, ``label_weight`` of the whole.
    """
    assert step.teacher is not None
    wanted = _log_shares(step.teacher / temperature, step).exp()
    each = -(wanted * _log_shares(scores / temperature, step)).sum(dim=1)
    from_teacher = temperature**2 * each.mean()
    return (1 - label_weight) * from_teacher + label_weight * list_loss(scores, step, "softmax")


def _log_shares(scores: Tensor, step: Step) -> Tensor:
    return torch.log_softmax(torch.where(step.present, scores, FORBIDDEN), dim=1)
