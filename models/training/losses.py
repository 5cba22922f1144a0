"""Losses over padded lists: against labels, and against a teacher's scores."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from models.architectures.layers import FORBIDDEN
from models.training.examples.lists import Step
from models.training.fit_config import Loss

LossFunction = Callable[[Tensor, Step], Tensor]


def list_loss(scores: Tensor, step: Step, loss: Loss) -> Tensor:
    """Return the loss of scores (B, M) against a step's labels.

    - ``softmax``: cross-entropy between the scores' softmax over the list and the labels divided by their sum
      (ListNet's top one, Cao et al. 2007). Lists without a label above 0 do not count.
    - ``bce``: mean binary cross-entropy over the candidates.
    """
    if loss == "bce":
        each = binary_cross_entropy_with_logits(scores, step.labels, reduction="none")
        return each[step.present].mean()
    mass = step.labels.sum(dim=1)
    each = -(step.labels * _log_shares(scores, step)).sum(dim=1) / mass.clamp(min=1e-6)
    return each.sum() / (mass > 0).sum().clamp(min=1)


def distillation_loss(scores: Tensor, step: Step, *, temperature: float, label_weight: float) -> Tensor:
    """Return the loss of a student's scores (B, M) against its teacher's scores and the labels.

    The teacher's part is the cross-entropy between the softmax of both score lists at ``temperature`` (over lists as in
    RankDistil, Reddi et al. 2021). It is multiplied by the squared temperature, so that gradients keep their size
    (Hinton et al. 2015, arXiv:1503.02531).

    Args:
        scores: the student's scores, (B, M).
        step: the labels, and the teacher's scores in ``step.teacher``.
        temperature: divides both models' scores before the softmax.
        label_weight: weight of the labels' softmax loss, 0 to 1. The rest is the weight of the teacher's part.
    """
    assert step.teacher is not None
    teacher_shares = _log_shares(step.teacher / temperature, step).exp()
    each = -(teacher_shares * _log_shares(scores / temperature, step)).sum(dim=1)
    from_teacher = temperature**2 * each.mean()
    return (1 - label_weight) * from_teacher + label_weight * list_loss(scores, step, "softmax")


def _log_shares(scores: Tensor, step: Step) -> Tensor:
    return torch.log_softmax(torch.where(step.present, scores, FORBIDDEN), dim=1)
