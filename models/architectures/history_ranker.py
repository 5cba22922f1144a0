"""A ranker in which a user's history is encoded once and every candidate attends to it and to itself.

Candidates never see each other: a score does not depend on what else is asked, and cost is linear in
candidates. After HSTU's candidate-parallel inference, M-FALCON (Zhai et al. 2024, arXiv:2402.17152);
softmax attention and feed-forward layers as in SASRec (Kang and McAuley 2018, arXiv:1808.09781).

The history is [user's profile, oldest rating, ..., newest rating], causally masked: an empty history still
has the profile to attend to. It is the same for every candidate and every context of the user.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.encoders import DISTANCE_WIDTH, ColumnEncoder, ScalarEncoder, distances, width_of
from models.architectures.layers import FORBIDDEN, TransformerLayer, attend, attend_beside, layers_of
from models.architectures.options import HistoryRankerOptions
from models.signature import InputSpec, Signature


class HistoryRanker(Architecture):
    """Scores chunks (R, C) of the candidates of B requests; inputs as ``signature`` declares them."""

    options: HistoryRankerOptions

    def __init__(self, options: HistoryRankerOptions) -> None:
        """Build with random weights from torch's present seed."""
        super().__init__()
        self.options = options
        width = options.width
        self.items = ColumnEncoder(options.items)
        self.past = ScalarEncoder(options.history_values) if options.history_values else None
        self.context = ScalarEncoder(options.context) if options.context else None
        self.profile = ColumnEncoder({"profile": options.profile[1]}) if options.profile else None
        self.item_proj = nn.Linear(self.items.width + (DISTANCE_WIDTH if options.position else 0), width)
        self.past_proj = nn.Linear(self.items.width + width_of(self.past), width)
        asked = width_of(self.context) + width_of(self.profile)
        self.request_proj = nn.Linear(asked, width, bias=False) if asked else None
        self.profile_proj = nn.Linear(self.profile.width, width, bias=False) if self.profile else None
        self.beginning = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(
            TransformerLayer(width, options.heads, options.hidden) for _ in range(options.layers)
        )
        self.score_norm = nn.LayerNorm(width)
        self.score_proj = nn.Linear(width, 1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give scores (R, C): of the candidates in each chunk."""
        profile = None if self.profile is None else self.profile(inputs)
        chunk_of = inputs["chunk_of"]
        history = self._history(inputs, profile)
        candidates = self._candidates(inputs, profile, chunk_of)
        (requests, length, width), (chunks, count, _) = history.shape, candidates.shape
        present = torch.nn.functional.pad(inputs["history_mask"], (1, 0), value=True)
        kept = present.to(candidates.dtype)[chunk_of]
        later = torch.ones(length, length, dtype=torch.bool, device=history.device).triu(1)
        causal = torch.where(later, FORBIDDEN, 0.0)  # padding is at the end: no token before it sees it
        past, x = history.reshape(-1, width), candidates.reshape(-1, width)  # flat: one product a projection
        for index, layer in enumerate(layers_of(self.layers)):
            past_q, past_k, past_v = layer.project(past, requests)
            q, k, v = layer.project(x, chunks)
            x = layer.close(x, attend_beside(q, k, v, layer.scale, past_k[chunk_of], past_v[chunk_of], kept))
            if index + 1 < len(self.layers):
                past = layer.close(past, attend(past_q, past_k, past_v, layer.scale, causal))
        scores: Tensor = self.score_proj(self.score_norm(x))
        return scores.view(chunks, count)

    def _history(self, inputs: Mapping[str, Tensor], profile: Tensor | None) -> Tensor:
        """Give (B, 1 + L, width): the beginning, then the past, oldest first."""
        parts = [self.items(inputs, "past_")]
        if self.past is not None:
            parts.append(self.past(inputs))
        past = self.past_proj(torch.cat(parts, dim=-1))
        beginning = self.beginning.expand(past.shape[0], -1)
        if profile is not None and self.profile_proj is not None:
            beginning = beginning + self.profile_proj(profile)
        return torch.cat([beginning[:, None], past], dim=1)

    def _candidates(self, inputs: Mapping[str, Tensor], profile: Tensor | None, chunk_of: Tensor) -> Tensor:
        """Give (R, C, width): each item as it looks from this user, here and now."""
        features = self.items(inputs, "item_")
        if self.options.position:
            features = torch.cat([features, distances(inputs["position"][chunk_of], inputs["start"])], dim=-1)
        x: Tensor = self.item_proj(features)
        asked = [] if self.context is None else [self.context(inputs)]
        asked += [] if profile is None else [profile]
        if self.request_proj is not None:
            x = x + self.request_proj(torch.cat(asked, dim=-1))[chunk_of][:, None]
        return x

    def signature(self, feature_hash: str) -> Signature:
        """Declare the inputs and where they come from."""
        options = self.options
        mine = f"user.{options.history}"
        inputs: list[InputSpec] = []
        for name, shape in options.items.items():
            inputs.append(InputSpec(name=f"item_{name}", source=f"item.{name}", shape=shape))
            inputs.append(InputSpec(name=f"past_{name}", source=f"item.{name}@{mine}:list", shape=shape))
        inputs += [InputSpec(name=c.name, source=f"user.{c.name}:list") for c in options.history_values]
        inputs.append(InputSpec(name="history_mask", source=f"{mine}:mask", dtype="bool"))
        inputs += [InputSpec(name=c.name, source=f"context.{c.name}") for c in options.context]
        if options.profile:
            inputs.append(
                InputSpec(name="profile", source=f"user.{options.profile[0]}", shape=options.profile[1])
            )
        if options.position:
            inputs.append(InputSpec(name="position", source=f"context.{options.position}", shape=(2,)))
            inputs.append(InputSpec(name="start", source=f"item.{options.start}", shape=(2,)))
        inputs.append(InputSpec(name="chunk_of", source="batch.chunk_of", dtype="int64"))
        return Signature(inputs=tuple(inputs), layout="chunks", feature_hash=feature_hash)

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Take the encoders' constants from training inputs, padded slots left out."""
        self.items.fit(self.items.raw(inputs, "item_")[inputs["present"]])
        if self.past is not None:
            self.past.fit(self.past.raw(inputs)[inputs["history_mask"]])
        if self.context is not None:
            self.context.fit(self.context.raw(inputs))
        if self.profile is not None:
            self.profile.fit(self.profile.raw(inputs))
