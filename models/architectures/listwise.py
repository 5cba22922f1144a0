"""A listwise reranker: candidates in a short list attend to the user's history, and then to each other.

Self-attention over the list follows SetRank (Pang et al. 2020, arXiv:1912.05891). The model predicts a correction to
the ranker's score. The correction is zero before training, so an untrained reranker keeps the order. The reranker may
read more item columns than the ranker, because it scores fewer items.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.architectures.layers import FORBIDDEN, TransformerLayer, attend, attend_beside, layers_of
from models.architectures.options import ListwiseOptions
from models.architectures.ranker import Ranker
from models.architectures.resizing import resize
from models.signature import InputSpec, Signature

LEAST_SPREAD = 1e-3
"""Lower bound for the standard deviation by which the ranker's scores are divided."""


class ListwiseReranker(Ranker):
    """Scores lists (B, M). ``signature`` declares the inputs."""

    options: ListwiseOptions

    def __init__(self, options: ListwiseOptions) -> None:
        """Build the module with random weights from torch's current seed."""
        super().__init__(options)
        self.options = options
        width = options.width
        self.item_proj = nn.Linear(self.candidate_width + 2, width)
        self.past_proj = nn.Linear(self.past_width, width)
        request_width = self.request_width
        self.request_proj = nn.Linear(request_width, width, bias=False) if request_width else None
        self.beginning = nn.Parameter(torch.zeros(width))
        self.past_layer = TransformerLayer(width, options.heads, options.hidden)
        self.layers = nn.ModuleList(
            TransformerLayer(width, options.heads, options.hidden) for _ in range(options.layers)
        )
        self.score_norm = nn.LayerNorm(width)
        self.score_proj = nn.Linear(width, 1)
        nn.init.zeros_(self.score_proj.weight)
        nn.init.zeros_(self.score_proj.bias)
        resize(self, options.linears)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the scores (B, M)."""
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
        """Return the embedded candidates, (B, M, width).

        They combine item and request features with the ranker's score, given as ``standing`` and as tanh(score).
        """
        features = [self.read_candidates(inputs), standing[..., None], torch.tanh(score)[..., None]]
        x: Tensor = self.item_proj(torch.cat(features, dim=-1))
        request = self.read_request(inputs, self.read_profile(inputs))
        if request is not None and self.request_proj is not None:
            x = x + self.request_proj(request)[:, None]
        return x

    def _after_past(self, inputs: Mapping[str, Tensor], x: Tensor, batch: int) -> Tensor:
        """Let each candidate in x (B * M, width) attend to the user's embedded ratings, and to itself."""
        layer = self.past_layer
        past = self.past_proj(self.read_past(inputs))
        past = torch.cat([self.beginning.expand(batch, 1, -1), past], dim=1)  # an empty past has one token
        _, past_k, past_v = layer.project(past.reshape(-1, past.shape[-1]), batch)
        q, k, v = layer.project(x, batch)
        present = torch.nn.functional.pad(inputs["history_mask"], (1, 0), value=True).to(x.dtype)
        return layer.close(x, attend_beside(q, k, v, layer.scale, past_k, past_v, present))

    def signature(self, feature_hash: str) -> Signature:
        """Return the declared inputs and their sources in a pipeline."""
        inputs = super().signature(feature_hash).inputs
        own_inputs = (
            InputSpec(name="ranked", source="candidate.score"),
            InputSpec(name="mask", source="batch.mask", dtype="bool"),
        )
        return Signature(inputs=inputs + own_inputs, layout="list", feature_hash=feature_hash)


def _standing(score: Tensor, mask: Tensor) -> Tensor:
    """Return how far each score (B, M) is from its list's mean, in standard deviations."""
    present = mask.to(score.dtype)
    count = present.sum(dim=1, keepdim=True).clamp(min=1.0)
    mean = (score * present).sum(dim=1, keepdim=True) / count
    deviation = (score - mean) * present
    spread = torch.sqrt(deviation.square().sum(dim=1, keepdim=True) / count)
    return deviation / spread.clamp(min=LEAST_SPREAD)
