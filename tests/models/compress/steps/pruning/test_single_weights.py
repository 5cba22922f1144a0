"""Unstructured pruning: exact shares, and zeros that survive the training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.compress.steps.pruning.single_weights import (
    Scope,
    hold_zeros,
    matrices_of,
    share_of_zeros,
    zero_smallest,
)
from tests.models.worlds import make_ranker


@given(share=st.floats(0, 0.99), scope=st.sampled_from(["global", "layer"]))
@settings(max_examples=20, deadline=None)
def test_the_smallest_weights_become_zeros(share: float, scope: Scope) -> None:
    module = make_ranker()
    before = {name: weight.detach().clone() for name, weight in matrices_of(module).items()}
    zero_smallest(module, share, scope)
    total = sum(weight.numel() for weight in before.values())
    most = len(before) if scope == "layer" else 1
    assert share * total - most <= share_of_zeros(module) * total <= share * total + 1e-3
    for name, weight in matrices_of(module).items():
        kept = weight != 0
        assert torch.equal(weight[kept], before[name][kept])
        if kept.any() and not kept.all():
            assert before[name][~kept].abs().max() <= before[name][kept].abs().min()


@given(share=st.floats(0, 0.99), scope=st.sampled_from(["global", "layer"]), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_of_equally_small_weights_the_first_become_zeros(share: float, scope: Scope, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 7))
    weights = list(matrices_of(module).values())
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.randint(-3, 4, weight.shape, generator=generator) * 0.1)
    expected = [weight.detach().clone().flatten() for weight in weights]
    together = [torch.cat(expected)] if scope == "global" else expected
    for sizes in together:
        sizes[sizes.abs().argsort(stable=True)[: int(share * len(sizes) + 1e-6)]] = 0.0
    zero_smallest(module, share, scope)
    assert torch.equal(torch.cat([weight.flatten() for weight in weights]), torch.cat(together))


def test_matrices_of_a_large_model_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 7))
    monkeypatch.delattr(torch, "cat")  # a copy of all weights may not fit into memory
    zero_smallest(module, 0.8, "global")
    assert share_of_zeros(module) == 0.8


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_no_share_changes_nothing(scope: Scope) -> None:
    module, same = make_ranker(), make_ranker()
    zero_smallest(module, 0.0, scope)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), same.parameters(), strict=True))


def test_training_keeps_zeros_but_trains_a_matrix_of_zeros() -> None:
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    module = nn.Sequential(first, second)
    with torch.no_grad():
        first.weight[1, 2] = 0.0
        second.weight.zero_()
    hold_zeros(module)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.autograd.backward(module(torch.ones(5, 3)).square().sum() + module(torch.ones(1, 3)).sum())
        optimizer.step()
    assert first.weight[1, 2] == 0.0
    assert share_of_zeros(module) == 1 / 20
