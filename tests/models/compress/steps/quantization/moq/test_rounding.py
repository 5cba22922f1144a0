"""Rounded weights: those of the int8 codec, with gradients that pass straight through."""

import numpy as np
import pytest
import torch
from torch import nn

from models.compress.steps.quantization.layers.weight_codec import encode_matrix
from models.compress.steps.quantization.moq.rounding import Rounded, round_weights, rounded, stop_rounding


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bits", [7, 8])
def test_rounds_as_the_int8_codec(per_channel: bool, bits: int) -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(1))
    coded = encode_matrix("layer", weight.numpy().T, per_channel=per_channel, bits=bits).decoded().T
    np.testing.assert_allclose(rounded(weight, bits, per_channel=per_channel).numpy(), coded, atol=1e-6)


def test_gradients_pass_through_and_the_weights_come_back() -> None:
    layer = nn.Linear(4, 3)
    before = layer.weight.detach().clone()
    round_weights(layer, Rounded(8, 8, 1, per_channel=True))
    assert not torch.equal(layer.weight, before)
    torch.autograd.backward(layer.weight.sum())
    original = dict(layer.named_parameters())["parametrizations.weight.original"]
    assert original.grad is not None
    assert torch.equal(original.grad, torch.ones(3, 4))
    stop_rounding(layer)
    assert torch.equal(layer.weight, before)


def test_evaluation_has_the_last_bits() -> None:
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    rounding = Rounded(16, 8, 5, per_channel=True)
    assert not torch.equal(rounding(weight), rounding.eval()(weight))
    rounding.train().steps += 40
    assert torch.equal(rounding(weight), rounding.eval()(weight))
