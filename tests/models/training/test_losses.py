"""Losses: which candidates and lists count, and distillation from a teacher."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.training.examples.lists import Step
from models.training.losses import distillation_loss, list_loss


def test_padding_does_not_change_the_loss() -> None:
    labels, present = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, True, False]])
    for loss in ("softmax", "bce"):
        losses = [
            list_loss(torch.tensor([[1.0, 2.0, padding]]), Step({}, labels, present), loss)
            for padding in (0.0, 50.0)
        ]
        assert losses[0].item() == pytest.approx(losses[1].item())


def test_softmax_loss_ignores_lists_without_a_positive_label() -> None:
    present = torch.ones(2, 2, dtype=torch.bool)
    both = list_loss(
        torch.tensor([[1.0, 2.0], [3.0, 9.0]]), Step({}, torch.tensor([[1.0, 0], [0, 0]]), present), "softmax"
    )
    one = list_loss(torch.tensor([[1.0, 2.0]]), Step({}, torch.tensor([[1.0, 0]]), present[:1]), "softmax")
    assert both.item() == pytest.approx(one.item())


def step_of(teacher: list[float], labels: list[float], kept: list[bool]) -> Step:
    return Step({}, torch.tensor([labels]), torch.tensor([kept]), torch.tensor([teacher]))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(0.5, 4))
def test_distillation_loss_is_minimal_at_the_scores_of_the_teacher(
    teacher: list[float], temperature: float
) -> None:
    step = step_of(teacher, [0.0] * len(teacher), [True] * len(teacher))
    scores = torch.tensor([teacher], dtype=torch.float32, requires_grad=True)
    loss = distillation_loss(scores, step, temperature=temperature, label_weight=0.0)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert gradient.abs().max() < 1e-5
    shifted = distillation_loss(scores + 3.0, step, temperature=temperature, label_weight=0.0)
    assert shifted.item() == pytest.approx(loss.item(), abs=1e-4)  # the loss ignores a constant offset


def test_label_weight_mixes_both_losses_and_padding_does_not_count() -> None:
    step = step_of([2.0, 0.0, 9.0], [0.0, 1.0, 0.0], [True, True, False])
    scores = torch.tensor([[0.5, 0.2, 0.0]])
    parts = {
        weight: distillation_loss(scores, step, temperature=1.0, label_weight=weight).item()
        for weight in (0.0, 0.25, 1.0)
    }
    assert parts[1.0] == pytest.approx(list_loss(scores, step, "softmax").item())
    assert parts[0.25] == pytest.approx(0.75 * parts[0.0] + 0.25 * parts[1.0])
    moved = torch.tensor([[0.5, 0.2, 7.0]])
    assert distillation_loss(moved, step, temperature=1.0, label_weight=0.0).item() == pytest.approx(
        parts[0.0]
    )
