"""The interface of attention kernels. Tensors are (batch, tokens, heads, head_dim)."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""Maps queries, keys, values and the logits' scale to the attention result, for one layer."""
AttendBeside = Callable[[Tensor, Tensor, Tensor, float, Tensor, Tensor], Tensor]
"""Maps the candidates' queries, keys and values, the scale, and the history's keys and values to the result."""


class Kernels(Protocol):
    """One way to compute the history ranker's attention.

    The methods prepare masks once for all layers of a model, and return the function for one layer.
    """

    def over_history(self, history: Tensor) -> Attend:
        """Return causal attention over the history.

        Args:
            history: (B, T, width), the first layer's input. It gives the length and the device.
        """
        ...

    def beside_history(self, candidates: Tensor, past: Tensor, present: Tensor | None) -> AttendBeside:
        """Return attention of each candidate to the history and to itself.

        Args:
            candidates: (R, C, width), the first layer's input.
            past: (R, T, layers * 2 * heads, head_dim), the history's keys and values.
            present: (R, T), 1 for history tokens, 0 for the padding at the end. None: there is no padding.
        """
        ...
