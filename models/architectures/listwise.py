"""A listwise reranker: the candidates of a short list see each other before each gets its score.

Self-attention over the list as in SetRank (Pang et al. 2020, arXiv:1912.05891), on top of the ranker's
score: the model gives what to add to it, and begins at zero, so an untrained reranker keeps the order.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.encoders import ColumnEncoder, ScalarEncoder, width_of
from models.architectures.layers import FORBIDDEN, TransformerLayer, attend, layers_of
from models.architectures.options import ListwiseOptions
from models.signature import InputSpec, Signature

LEAST_SPREAD = 1e-3


class ListwiseReranker(Architecture):
    """Scores lists (B, M); inputs as ``signature`` declares them."""

    options: ListwiseOptions

    def __init__(self, options: ListwiseOptions) -> None:
        """Build with random weights from torch's present seed."""
        super().__init__()
        self.options = options
        width = options.width
        self.items = ColumnEncoder(options.items)
        self.context = ScalarEncoder(options.context) if options.context else None
        self.item_proj = nn.Linear(self.items.width + 2, width)
        self.request_proj = nn.Linear(width_of(self.context), width, bias=False) if self.context else None
        self.layers = nn.ModuleList(
            TransformerLayer(width, options.heads, options.hidden) for _ in range(options.layers)
        )
        self.score_norm = nn.LayerNorm(width)
        self.score_proj = nn.Linear(width, 1)
        nn.init.zeros_(self.score_proj.weight)
        nn.init.zeros_(self.score_proj.bias)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give scores (B, M)."""
        score, mask = inputs["ranked"], inputs["mask"]
        centred = _standing(score, mask)
        features = [self.items(inputs, "item_"), centred[..., None], torch.tanh(score)[..., None]]
        candidates: Tensor = self.item_proj(torch.cat(features, dim=-1))
        if self.request_proj is not None and self.context is not None:
            candidates = candidates + self.request_proj(self.context(inputs))[:, None]
        batch, count, width = candidates.shape
        allowed = torch.where(mask, 0.0, FORBIDDEN)[:, None, None, :]
        x = candidates.reshape(-1, width)
        for layer in layers_of(self.layers):
            q, k, v = layer.project(x, batch)
            x = layer.close(x, attend(q, k, v, layer.scale, allowed))
        added: Tensor = self.score_proj(self.score_norm(x))
        return score + added.view(batch, count)

    def signature(self, feature_hash: str) -> Signature:
        """Declare the inputs and where they come from."""
        inputs = [
            InputSpec(name=f"item_{name}", source=f"item.{name}", shape=shape)
            for name, shape in self.options.items.items()
        ]
        inputs += [InputSpec(name=c.name, source=f"context.{c.name}") for c in self.options.context]
        inputs.append(InputSpec(name="ranked", source="candidate.score"))
        inputs.append(InputSpec(name="mask", source="batch.mask", dtype="bool"))
        return Signature(inputs=tuple(inputs), layout="list", feature_hash=feature_hash)

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Take the encoders' constants from training inputs, padded slots left out."""
        self.items.fit(self.items.raw(inputs, "item_")[inputs["present"]])
        if self.context is not None:
            self.context.fit(self.context.raw(inputs))


def _standing(score: Tensor, mask: Tensor) -> Tensor:
    """Give how many spreads each score (B, M) lies above its list's mean."""
    kept = mask.to(score.dtype)
    count = kept.sum(dim=1, keepdim=True).clamp(min=1.0)
    mean = (score * kept).sum(dim=1, keepdim=True) / count
    away = (score - mean) * kept
    spread = torch.sqrt(away.square().sum(dim=1, keepdim=True) / count)
    return away / spread.clamp(min=LEAST_SPREAD)
