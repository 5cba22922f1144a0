"""Attention in PyTorch's fused kernels, which do not write the attention weights to memory.

A dense mask over history and candidates would let the kernels compute (history + candidates) logits per candidate. So
the kernels compute only the attention to the history, with the logarithm of the sum of its exponentials. A candidate's
own share of the softmax is then a sigmoid: exp(s) / (exp(s) + exp(lse)) = sigmoid(s - lse), where s is its own logit.

The operators are those that ``scaled_dot_product_attention`` calls. It does not return the logarithms itself. Their
arguments have been the same since PyTorch 2.5.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from models.architectures.attention.kernels import Attend, AttendBeside

_ALIGNED = 16
"""The kernel with a mask requires rows of the mask to start at multiples of 16 elements."""
_HIDDEN = float("-inf")


class _Partial(NamedTuple):
    """Attention to a part of the keys: the result (B, T, heads, head_dim) and log sums (B, T, heads)."""

    result: Tensor
    log_sum: Tensor


class FusedKernels:
    """Flash attention or cuDNN's attention on GPUs, and flash attention on CPUs.

    If histories are padded, GPUs use the memory-efficient kernel, because only that one takes a mask.
    """

    def __init__(self, library: Literal["flash", "cudnn"] = "flash") -> None:
        """Choose the library for histories without padding on GPUs."""
        self._library = library

    def over_history(self, history: Tensor) -> Attend:
        """Return causal attention over the history. It also hides the padding, which is at the end."""
        return _causal_cudnn if self._library == "cudnn" and history.is_cuda else _causal

    def beside_history(self, candidates: Tensor, past: Tensor, present: Tensor | None) -> AttendBeside:
        """Return attention of each candidate to the history and to itself."""
        mask = None if present is None else _mask(present, candidates.shape[1], past.dtype)

        def beside(q: Tensor, k: Tensor, v: Tensor, scale: float, past_k: Tensor, past_v: Tensor) -> Tensor:
            past = self._attend(q, past_k, past_v, scale, mask)
            own_logit = (q * k).sum(dim=3, dtype=torch.float32) * scale
            own_share = torch.sigmoid(own_logit - past.log_sum).to(v.dtype)
            return torch.lerp(past.result, v, own_share[..., None])

        return beside

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, scale: float, mask: Tensor | None) -> _Partial:
        queries, keys, values = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        operators = torch.ops.aten
        if not q.is_cuda:
            result, log_sum = operators._scaled_dot_product_flash_attention_for_cpu(
                queries, keys, values, 0.0, False, attn_mask=mask, scale=scale
            )
        elif mask is not None or q.dtype == torch.float32:  # flash attention needs 16 bits
            mask = None if mask is None else mask.expand(-1, q.shape[2], -1, -1)
            result, log_sum = operators._scaled_dot_product_efficient_attention(
                queries, keys, values, mask, True, scale=scale
            )[:2]
        elif self._library == "cudnn":
            result, log_sum = operators._scaled_dot_product_cudnn_attention(
                queries, keys, values, None, True, scale=scale
            )[:2]
        else:
            result, log_sum = operators._scaled_dot_product_flash_attention(
                queries, keys, values, scale=scale
            )[:2]
        # The memory-efficient kernel pads the log sums to multiples of 32 queries, and cuDNN's have a fourth axis.
        log_sum = log_sum.reshape(*log_sum.shape[:2], -1)[..., : q.shape[1]]
        return _Partial(result.transpose(1, 2), log_sum.transpose(1, 2))


def _mask(present: Tensor, queries: int, dtype: torch.dtype) -> Tensor:
    """Return the mask (R, 1, queries, T) that is added to the logits. Its query axis takes no memory."""
    hidden = torch.zeros_like(present, dtype=dtype).masked_fill(present == 0, _HIDDEN)
    chunks, length = hidden.shape
    aligned = pad(hidden, (0, -length % _ALIGNED))[:, :length]
    return aligned[:, None, None].expand(chunks, 1, queries, length)


def _causal(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    queries, keys, values = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    result = scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=scale)
    return result.transpose(1, 2)


def _causal_cudnn(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    queries, keys, values = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    result: Tensor = torch.ops.aten._scaled_dot_product_cudnn_attention(
        queries, keys, values, None, False, 0.0, True, scale=scale
    )[0]
    return result.transpose(1, 2)


FUSED = FusedKernels()
