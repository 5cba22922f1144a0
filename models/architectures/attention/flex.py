"""Flex attention with a block mask: candidates attend to the history and to themselves in one kernel.

The candidates' own keys come first, then the history's. So the blocks of queries and of own keys are aligned, and
each block of queries computes one block of own keys, of which only the diagonal counts.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from models.architectures.attention.fused import FUSED
from models.architectures.attention.kernels import Attend, AttendBeside

_MASKS = 64
"""Block masks that are kept, for batches without padding."""


class FlexKernels:
    """Flex attention, compiled by PyTorch for GPUs. On CPUs it is not compiled, and slow."""

    def over_history(self, history: Tensor) -> Attend:
        """Return causal attention over the history, for which a fused kernel needs no mask."""
        return FUSED.over_history(history)

    def beside_history(self, candidates: Tensor, past: Tensor, present: Tensor | None) -> AttendBeside:
        """Return attention of each candidate to the history and to itself."""
        count, length = candidates.shape[1], past.shape[1]
        if present is None:
            # A compiler would not trace the cache.
            is_traced = torch.compiler.is_compiling()
            make: Callable[..., Any] = _unpadded_mask.__wrapped__ if is_traced else _unpadded_mask
            mask = make(count, length, candidates.device)
        else:
            mask = _padded_mask(count, length, present)
        is_compiled = candidates.is_cuda and not torch.compiler.is_compiling()
        attend: Any = _compiled()[1] if is_compiled else flex_attention

        def beside(q: Tensor, k: Tensor, v: Tensor, scale: float, past_k: Tensor, past_v: Tensor) -> Tensor:
            keys, values = torch.cat([k, past_k], dim=1), torch.cat([v, past_v], dim=1)
            result: Tensor = attend(
                q.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), block_mask=mask, scale=scale
            )
            return result.transpose(1, 2)

        return beside


@cache
def _compiled() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the compiled functions that make a block mask and that compute the attention."""
    return torch.compile(create_block_mask), torch.compile(flex_attention)


@lru_cache(_MASKS)
def _unpadded_mask(count: int, length: int, device: torch.device) -> BlockMask:
    def allowed(_request: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query == key) | (key >= count)

    return create_block_mask(allowed, None, None, count, count + length, device=device)


def _padded_mask(count: int, length: int, present: Tensor) -> BlockMask:
    end = count + present.sum(dim=1).to(torch.int32)

    def allowed(request: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query == key) | ((key >= count) & (key < end[request]))

    make = _compiled()[0] if present.is_cuda and not torch.compiler.is_compiling() else create_block_mask
    mask: BlockMask = make(allowed, len(present), None, count, count + length, device=present.device)
    return mask


FLEX = FlexKernels()
