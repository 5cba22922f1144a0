"""Transformer layers. Tensor-parallel tools can split them, because the projections have their usual names."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, relu

from models.architectures.resizing import LowRank

FORBIDDEN = -1e9
"""Added to the attention logits of masked slots. It is finite, because a softmax over only -inf is NaN."""


CUT = 40.0
"""Attention logits are clamped to +-40, so that sums of exponentials neither overflow float32 nor become 0."""


class TransformerLayer(nn.Module):
    """A pre-norm transformer layer (Xiong et al. 2020, arXiv:2002.04745) without the attention itself.

    Between ``project`` and ``close`` the caller computes the attention, with a mask of its choice.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        """Build the layer with random weights.

        Args:
            width: residual stream width.
            heads: attention heads.
            hidden: feed-forward width.
            dropout: dropout rate for both residual updates, attention and feed-forward.
        """
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
        self._joined: tuple[Tensor, Tensor] | None = None

    def join(self) -> None:
        """Compute queries, keys and values in one product, and the feed-forward activation with its product.

        This is the form for GPUs. CPUs would compute other last digits. A layer with a factorised query, key or value
        projection stays as it is. The layer must be on its device, and may not be
        moved or split afterwards. The projections become views of the joined weight.
        """
        projections = (self.q_proj, self.k_proj, self.v_proj)
        if any(isinstance(each, LowRank) for each in projections):
            return  # a factorised projection has no matrix that could be joined
        weight = torch.cat([each.weight.detach() for each in projections])
        bias = torch.cat(
            [
                each.weight.new_zeros(len(each.weight)) if each.bias is None else each.bias.detach()
                for each in projections
            ]
        )
        for each, part in zip(projections, weight.chunk(3), strict=True):
            each.weight = nn.Parameter(part, requires_grad=False)
        self._joined = weight, bias

    @property
    def heads(self) -> int:
        """Attention heads in this process. If the layer is split over ranks, each rank has only some heads."""
        makes_keys = self.k_proj.second if isinstance(self.k_proj, LowRank) else self.k_proj
        return makes_keys.weight.shape[0] // self.head_dim

    def project(self, x: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Project x (batch * T, width) to queries, keys and values, each (batch, T, heads, head_dim)."""
        normed = self.attention_norm(x)
        if self._joined is not None:
            joined = linear(normed, *self._joined).view(batch, x.shape[0] // batch, 3, -1, self.head_dim)
            q, k, v = joined.unbind(2)
            return q, k, v
        q, k, v = (
            proj(normed).view(batch, x.shape[0] // batch, -1, self.head_dim)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        return q, k, v

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add the projected attention result to x, then the feed-forward part.

        Args:
            x: (batch * T, width).
            attended: (batch, T, heads, head_dim), the attention result.
        """
        x = x + dropout(self.o_proj(attended.reshape(x.shape[0], -1)), self.dropout, self.training)
        fed = self.down_proj(self._activated(self.feed_norm(x)))
        return x + dropout(fed, self.dropout, self.training)

    def _activated(self, normed: Tensor) -> Tensor:
        if self._joined is None or isinstance(self.up_proj, LowRank):
            return relu(self.up_proj(normed))
        up = self.up_proj
        activated: Tensor = torch.ops.aten._addmm_activation(up.bias, normed, up.weight.t())
        return activated


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, allowed: Tensor) -> Tensor:
    """Return softmax(scale q k + allowed) v, (batch, T, heads, head_dim).

    Args:
        q: queries, (batch, T, heads, head_dim).
        k: keys, (batch, S, heads, head_dim).
        v: values, (batch, S, heads, head_dim).
        scale: factor for the logits.
        allowed: added to the logits, broadcast to (batch, heads, T, S): 0, or ``FORBIDDEN`` for masked pairs.
    """
    logits = q.transpose(1, 2) @ k.permute(0, 2, 3, 1) * scale + allowed
    return (torch.softmax(logits, dim=-1) @ v.transpose(1, 2)).transpose(1, 2)


def attend_beside(
    q: Tensor, k: Tensor, v: Tensor, scale: float, past_k: Tensor, past_v: Tensor, present: Tensor
) -> Tensor:
    """Let T tokens each attend to S shared past tokens and to themselves, but not to each other.

    The softmax is computed in parts. Exponents are clamped instead of shifted by their maximum, padding is removed by
    masking the values, and the token's own share is added last. So no tensor as large as the logits is copied. Such
    copies would be most of the cost besides the projections.

    Args:
        q: queries, (batch, T, heads, head_dim).
        k: keys, (batch, T, heads, head_dim).
        v: values, (batch, T, heads, head_dim).
        scale: factor for the logits.
        past_k: past keys, (batch, S, heads, head_dim).
        past_v: past values, (batch, S, heads, head_dim).
        present: (batch, S), 1 for past tokens, 0 for padding.

    Returns:
        softmax(scale q [past_k, k]) [past_v, v], (batch, T, heads, head_dim).
    """
    to_past = torch.exp((q.transpose(1, 2) @ past_k.permute(0, 2, 3, 1) * scale).clamp(-CUT, CUT))
    to_self = torch.exp(((q * k).sum(dim=3, keepdim=True) * scale).clamp(-CUT, CUT))
    mask = present[:, None, :, None]
    from_past = (to_past @ (past_v.transpose(1, 2) * mask)).transpose(1, 2)
    total = (to_past @ mask).transpose(1, 2)
    return (from_past + to_self * v) / (total + to_self)


def layers_of(modules: nn.ModuleList) -> Iterator[TransformerLayer]:
    """Yield the layers in a module list, typed."""
    for module in modules:
        assert isinstance(module, TransformerLayer)
        yield module
