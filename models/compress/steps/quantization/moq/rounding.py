"""Linear layers whose weights are rounded in every forward pass. Gradients pass straight through the rounding."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models.compress.steps.quantization.moq.schedule import bits_at

_TINY = 1e-37


class Rounded(nn.Module):
    """A parametrization that rounds a matrix (outputs, inputs) to as many bits as its schedule says.

    In evaluation it rounds to the last bits, so that weights of different steps are compared fairly.

    Attributes:
        steps: training steps done. It is part of the state, so that a killed tuning continues.
    """

    steps: Tensor

    def __init__(self, start_bits: int, target_bits: int, period: int, *, per_channel: bool) -> None:
        """Take the schedule."""
        super().__init__()
        self.start_bits, self.target_bits, self.period = start_bits, target_bits, period
        self.per_channel = per_channel
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def bits(self) -> int:
        """The bits of the current training step."""
        return bits_at(int(self.steps), self.start_bits, self.target_bits, self.period)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rounded weight. Its gradient is that of the weight (Bengio et al. 2013, arXiv:1308.3432)."""
        bits = self.bits if self.training else self.target_bits
        values = weight.detach()
        passed: Tensor = weight + (rounded(values, bits, per_channel=self.per_channel) - values)
        return passed


def rounded(weight: Tensor, bits: int, *, per_channel: bool) -> Tensor:
    """Return a matrix (outputs, inputs) as its int8 form stores it, but with any number of bits."""
    sizes = weight.abs()
    largest = sizes.amax(dim=1, keepdim=True) if per_channel else sizes.max()
    limit = 2 ** (bits - 1) - 1
    scale = (largest / limit).clamp(min=_TINY)
    values: Tensor = (weight / scale).round().clamp(-limit, limit) * scale
    return values


def round_weights(layer: nn.Linear, rounding: Rounded) -> None:
    """Round a layer's weights from now on."""
    parametrize.register_parametrization(layer, "weight", rounding)


def stop_rounding(layer: nn.Linear) -> None:
    """Round a layer's weights no longer. They are those that were trained, without rounding."""
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
