"""Attention by matrix products, the fastest way on CPUs."""

from functools import partial

import torch
from torch import Tensor

from models.architectures.attention.kernels import Attend, AttendBeside
from models.architectures.layers import FORBIDDEN, attend, attend_beside


class ProductKernels:
    """Writes the attention weights to memory."""

    def over_history(self, history: Tensor) -> Attend:
        """Return causal attention over the history. The mask also hides the padding, which is at the end."""
        length = history.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=history.device).triu(1)
        allowed = torch.where(later, FORBIDDEN, 0.0)
        return partial(
            attend, allowed=allowed if allowed.dtype == history.dtype else allowed.to(history.dtype)
        )

    def beside_history(self, candidates: Tensor, past: Tensor, present: Tensor | None) -> AttendBeside:
        """Return attention of each candidate to the history and to itself."""
        return partial(attend_beside, present=past.new_ones(past.shape[:2]) if present is None else present)


PRODUCTS = ProductKernels()
