"""Transformer layers whose projections carry the usual names, so that tensor-parallel tools can split them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

FORBIDDEN = -1e9
"""Added to the logit of a slot that is padding: finite, so that no row of a softmax is all minus infinity."""


class TransformerLayer(nn.Module):
    """A pre-norm layer (Xiong et al. 2020, arXiv:2002.04745); the caller says who attends to whom."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """width: of the residual stream; hidden: of the feed-forward part."""
        super().__init__()
        self.head_dim = width // heads
        self.attention_norm = nn.LayerNorm(width)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)  # a bias there would cancel in the softmax
        self.v_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.up_proj = nn.Linear(width, hidden)
        self.down_proj = nn.Linear(hidden, width)

    def project(self, x: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Give queries, keys and values (batch, heads, T, head_dim) of x (batch * T, width)."""
        normed = self.attention_norm(x)
        q, k, v = (
            proj(normed).view(batch, x.shape[0] // batch, -1, self.head_dim).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        return q * (1.0 / math.sqrt(self.head_dim)), k, v

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add what was attended (batch, heads, T, head_dim) to x (batch * T, width), then the feed-forward."""
        x = x + self.o_proj(attended.transpose(1, 2).reshape(x.shape[0], -1))
        closed: Tensor = x + self.down_proj(gelu(self.up_proj(self.feed_norm(x))))
        return closed


def attend(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    """Give softmax(q k + allowed) v, (batch, heads, T, head_dim); q is scaled already.

    allowed: added to the logits, broadcast to (batch, heads, T, S); 0, or very negative where forbidden.
    """
    return torch.softmax(q @ k.transpose(2, 3) + allowed, dim=-1) @ v


def attend_beside(q: Tensor, k: Tensor, v: Tensor, past_k: Tensor, past_v: Tensor, allowed: Tensor) -> Tensor:
    """Let each of T tokens attend to a shared past of S tokens and to itself, not to one another.

    q, k, v (batch, heads, T, head_dim); past_k, past_v (batch, heads, S, head_dim); allowed as above.
    """
    to_past = q @ past_k.transpose(2, 3) + allowed
    to_self = (q * k).sum(dim=-1, keepdim=True)
    weights = torch.softmax(torch.cat([to_past, to_self], dim=-1), dim=-1)
    size = past_k.shape[2]
    return weights[..., :size] @ past_v + weights[..., size:] * v


def layers_of(modules: nn.ModuleList) -> Iterator[TransformerLayer]:
    """Give the list's layers, typed."""
    for module in modules:
        assert isinstance(module, TransformerLayer)
        yield module
