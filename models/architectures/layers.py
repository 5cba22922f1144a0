"""Transformer layers whose projections carry the usual names, so that tensor-parallel tools can split them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, relu

FORBIDDEN = -1e9
"""Added to the logit of a slot that is padding: finite, so that no row of a softmax is all minus infinity."""


CUT = 40.0
"""Attention logits are cut here: exp(40) times any number of tokens fits in a float32, exp(-40) is not yet 0."""


class TransformerLayer(nn.Module):
    """A pre-norm layer (Xiong et al. 2020, arXiv:2002.04745); the caller says who attends to whom."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        """width: of the residual stream; hidden: of the feed-forward part; dropout: of what either part adds."""
        super().__init__()
        self.dropout = dropout
        self.head_dim = width // heads
        self.scale = 1.0 / math.sqrt(self.head_dim)
        self.attention_norm = nn.LayerNorm(width)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)  # a bias there would cancel in the softmax
        self.v_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.up_proj = nn.Linear(width, hidden)
        self.down_proj = nn.Linear(hidden, width)

    @property
    def heads(self) -> int:
        """How many it has here: of a layer that is split over ranks, this rank's."""
        return self.k_proj.weight.shape[0] // self.head_dim

    def project(self, x: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Give queries, keys and values (batch, T, heads, head_dim) of x (batch * T, width)."""
        normed = self.attention_norm(x)
        q, k, v = (
            proj(normed).view(batch, x.shape[0] // batch, -1, self.head_dim)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        return q, k, v

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add what was attended (batch, T, heads, head_dim) to x (batch * T, width), then the feed-forward."""
        x = x + dropout(self.o_proj(attended.reshape(x.shape[0], -1)), self.dropout, self.training)
        fed = self.down_proj(relu(self.up_proj(self.feed_norm(x))))
        return x + dropout(fed, self.dropout, self.training)


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, allowed: Tensor) -> Tensor:
    """Give softmax(scale q k + allowed) v, all (batch, T, heads, head_dim).

    allowed: added to the logits, broadcast to (batch, heads, T, S); 0, or very negative where forbidden.
    """
    logits = q.transpose(1, 2) @ k.permute(0, 2, 3, 1) * scale + allowed
    return (torch.softmax(logits, dim=-1) @ v.transpose(1, 2)).transpose(1, 2)


def attend_beside(
    q: Tensor, k: Tensor, v: Tensor, scale: float, past_k: Tensor, past_v: Tensor, present: Tensor
) -> Tensor:
    """Let each of T tokens attend to a shared past of S tokens and to itself, not to one another.

    q, k, v (batch, T, heads, head_dim); past_k, past_v (batch, S, heads, head_dim); present (batch, S), 1 or 0.
    Gives softmax(scale q [past_k, k]) [past_v, v], (batch, T, heads, head_dim).

    The softmax is taken apart: its numerators are cut instead of shifted by their maximum, padding is left out
    of the values, and each token's own share is added where it lies. So nothing of the size of the logits or of
    the tokens is copied, which is most of the cost beside the projections.
    """
    to_past = torch.exp((q.transpose(1, 2) @ past_k.permute(0, 2, 3, 1) * scale).clamp(-CUT, CUT))
    to_self = torch.exp(((q * k).sum(dim=3, keepdim=True) * scale).clamp(-CUT, CUT))
    kept = present[:, None, :, None]
    from_past = (to_past @ (past_v.transpose(1, 2) * kept)).transpose(1, 2)
    total = (to_past @ kept).transpose(1, 2)
    return (from_past + to_self * v) / (total + to_self)


def layers_of(modules: nn.ModuleList) -> Iterator[TransformerLayer]:
    """Give the list's layers, typed."""
    for module in modules:
        assert isinstance(module, TransformerLayer)
        yield module
