"""A listwise reranker: the candidates of a short list see the user's past, then each other, before each gets its score.

Self-attention over the list as in SetRank (Pang et al. 2020, arXiv:1912.05891), on top of the ranker's
score: the model gives what to add to it, and begins at zero, so an untrained reranker keeps the order.
It may read more of each item than the ranker, as it has fewer to look at.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.architectures.kind import ArchitectureKind
from models.architectures.layers import FORBIDDEN, TransformerLayer, attend, attend_beside, layers_of
from models.architectures.options import ListwiseOptions
from models.architectures.ranker import Ranker
from models.signature import InputSpec, Signature

LEAST_SPREAD = 1e-3


class ListwiseReranker(Ranker):
    """Scores lists (B, M); inputs as ``signature`` declares them."""

    options: ListwiseOptions

    def __init__(self, options: ListwiseOptions) -> None:
        """Build with random weights from torch's present seed."""
        super().__init__(options)
        self.options = options
        width = options.width
        self.item_proj = nn.Linear(self.candidate_width + 2, width)
        self.past_proj = nn.Linear(self.past_width, width)
        asked = self.request_width
        self.request_proj = nn.Linear(asked, width, bias=False) if asked else None
        self.beginning = nn.Parameter(torch.zeros(width))
        self.past_layer = TransformerLayer(width, options.heads, options.hidden)
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
        candidates = self._candidates(inputs, _standing(score, mask), score)
        batch, count, width = candidates.shape
        x = self._after_past(inputs, candidates.reshape(-1, width), batch)
        allowed = torch.where(mask, 0.0, FORBIDDEN)[:, None, None, :]
        for layer in layers_of(self.layers):
            q, k, v = layer.project(x, batch)
            x = layer.close(x, attend(q, k, v, layer.scale, allowed))
        added: Tensor = self.score_proj(self.score_norm(x))
        return score + added.view(batch, count)

    def _candidates(self, inputs: Mapping[str, Tensor], standing: Tensor, score: Tensor) -> Tensor:
        """Give (B, M, width): each item as it looks from here, and how the ranker saw it."""
        features = [self.read_candidates(inputs), standing[..., None], torch.tanh(score)[..., None]]
        x: Tensor = self.item_proj(torch.cat(features, dim=-1))
        asked = self.read_request(inputs, self.read_profile(inputs))
        if asked is not None and self.request_proj is not None:
            x = x + self.request_proj(asked)[:, None]
        return x

    def _after_past(self, inputs: Mapping[str, Tensor], x: Tensor, batch: int) -> Tensor:
        """Let each candidate of x (B * M, width) attend to the user's ratings as they are, and to itself."""
        layer = self.past_layer
        past = self.past_proj(self.read_past(inputs))
        past = torch.cat([self.beginning.expand(batch, 1, -1), past], dim=1)  # an empty past is one token too
        _, past_k, past_v = layer.project(past.reshape(-1, past.shape[-1]), batch)
        q, k, v = layer.project(x, batch)
        kept = torch.nn.functional.pad(inputs["history_mask"], (1, 0), value=True).to(x.dtype)
        return layer.close(x, attend_beside(q, k, v, layer.scale, past_k, past_v, kept))

    def signature(self, feature_hash: str) -> Signature:
        """Declare the inputs and where they come from."""
        inputs = super().signature(feature_hash).inputs
        mine = (
            InputSpec(name="ranked", source="candidate.score"),
            InputSpec(name="mask", source="batch.mask", dtype="bool"),
        )
        return Signature(inputs=inputs + mine, layout="list", feature_hash=feature_hash)


def _standing(score: Tensor, mask: Tensor) -> Tensor:
    """Give how many spreads each score (B, M) lies above its list's mean."""
    kept = mask.to(score.dtype)
    count = kept.sum(dim=1, keepdim=True).clamp(min=1.0)
    mean = (score * kept).sum(dim=1, keepdim=True) / count
    away = (score - mean) * kept
    spread = torch.sqrt(away.square().sum(dim=1, keepdim=True) / count)
    return away / spread.clamp(min=LEAST_SPREAD)


ARCHITECTURE = ArchitectureKind(config=ListwiseOptions, build=ListwiseReranker)
