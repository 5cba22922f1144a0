"""A ranker that encodes the user's history once. Every candidate attends to the history and to itself.

Candidates do not attend to each other. So a candidate's score does not depend on the other candidates, and the cost
grows linearly with their count. This follows M-FALCON, the candidate-parallel inference in HSTU (Zhai et al. 2024,
arXiv:2402.17152). Softmax attention and feed-forward layers are as in SASRec (Kang and McAuley 2018, arXiv:1808.09781).

The history is [beginning, oldest rating, ..., newest rating] with a causal mask. The beginning is a learned vector
plus the user's projected profile, if the model reads a profile. So there is a token to attend to even if the history
is empty. The encoded history is the same for all candidates and contexts.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad

from models.architectures.attention.products import PRODUCTS
from models.architectures.base import EncodesHistory
from models.architectures.encoders import width_of
from models.architectures.layers import TransformerLayer, layers_of
from models.architectures.ranker import Ranker, by_chunk
from models.architectures.resizing import resize

if TYPE_CHECKING:
    from models.architectures.attention.kernels import Kernels
    from models.architectures.options import HistoryRankerOptions
    from models.signature import Signature

EMBEDDING_SPREAD = 0.1
"""Standard deviation of the initial item embeddings."""


class HistoryRanker(Ranker, EncodesHistory):
    """Scores candidates in chunks (R, C). ``signature`` declares the inputs.

    Two inputs may be missing. Without ``chunk_of``, chunk i belongs to request i. Without ``history_mask``, no history
    is padded. GPUs then have less to copy, and need no mask.

    Attributes:
        kernels: the attention kernels.
    """

    options: "HistoryRankerOptions"
    kernels: "Kernels" = PRODUCTS

    def __init__(self, options: "HistoryRankerOptions") -> None:
        """Build the module with random weights from torch's current seed."""
        super().__init__(options)
        self.options = options
        width = options.width
        self.item_proj = nn.Linear(self.candidate_width, width)
        self.past_proj = nn.Linear(self.past_width, width)
        self.table = nn.Embedding(options.number[1], width) if options.number else None
        if self.table is not None:
            nn.init.normal_(self.table.weight, std=EMBEDDING_SPREAD)
        self.repeat_proj = nn.Linear(1 + width_of(self.past), width, bias=False) if options.repeats else None
        request_width = self.request_width
        self.request_proj = nn.Linear(request_width, width, bias=False) if request_width else None
        self.profile_proj = nn.Linear(self.profile.width, width, bias=False) if self.profile else None
        self.beginning = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(
            TransformerLayer(width, options.heads, options.hidden, options.dropout)
            for _ in range(options.layers)
        )
        self.score_norm = nn.LayerNorm(width)
        self.score_proj = nn.Linear(width, 1)
        resize(self, options.linears)

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the history's keys and values in every layer, (B, 1 + L, layers * 2 * heads, head_dim)."""
        return self.encode_through(list(layers_of(self.layers)), self.embed_history(inputs), is_last=True)[0]

    def score(self, inputs: Mapping[str, Tensor], encoded: Tensor) -> Tensor:
        """Return the scores, (R, C)."""
        past, present = by_chunk(encoded, inputs), self.kept_of(inputs, encoded.dtype)
        layers = list(layers_of(self.layers))
        return self.scores_of(self.score_through(layers, self.embed_candidates(inputs), past, present))

    def encode_through(
        self, layers: Sequence[TransformerLayer], history: Tensor, *, is_last: bool
    ) -> tuple[Tensor, Tensor]:
        """Pass the history through some layers.

        Args:
            layers: consecutive layers.
            history: (B, 1 + L, width), the input.
            is_last: whether the model ends with these layers. Then nothing reads the last layer's output, and it is
                not computed.

        Returns:
            The keys and values in these layers, (B, 1 + L, layers * 2 * heads, head_dim), and the output,
            (B, 1 + L, width).
        """
        requests, length, width = history.shape
        history = _narrowed(history, layers)
        attend = self.kernels.over_history(history)
        past = history.reshape(-1, width)
        encoded: list[Tensor] = []
        for index, layer in enumerate(layers):
            q, k, v = layer.project(past, requests)  # past is flat, so each projection is one matrix product
            encoded += [k, v]
            if index + 1 < len(layers) or not is_last:
                past = layer.close(past, attend(q, k, v, layer.scale))
        return torch.cat(encoded, dim=2), past.view(requests, length, width)

    def score_through(
        self, layers: Sequence[TransformerLayer], candidates: Tensor, past: Tensor, present: Tensor | None
    ) -> Tensor:
        """Pass the candidates through some layers. Return the last layer's output, (R, C, width).

        Args:
            layers: consecutive layers.
            candidates: (R, C, width), the input.
            past: (R, 1 + L, layers * 2 * heads, head_dim), keys and values from the chunk's history in these layers.
            present: (R, 1 + L), 1 for history tokens, 0 for padding. None: there is no padding.
        """
        chunks, _, width = candidates.shape
        candidates = _narrowed(candidates, layers)
        attend = self.kernels.beside_history(candidates, past, present)
        x = candidates.reshape(-1, width)
        heads = [layer.heads for layer in layers for _ in ("keys", "values")]
        parts = torch.split(past, heads, dim=2)
        for layer, past_k, past_v in zip(layers, parts[::2], parts[1::2], strict=True):
            q, k, v = layer.project(x, chunks)
            x = layer.close(x, attend(q, k, v, layer.scale, past_k, past_v))
        return x.view(candidates.shape)

    def scores_of(self, candidates: Tensor) -> Tensor:
        """Return the scores (R, C) from the last layer's output (R, C, width)."""
        chunks, count, width = candidates.shape
        last = candidates.reshape(-1, width)
        wide = self.score_norm.weight.dtype
        scores: Tensor = self.score_proj(self.score_norm(last if last.dtype == wide else last.to(wide)))
        return scores.view(chunks, count)

    def kept_of(self, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor | None:
        """Return each chunk's history mask, (R, 1 + L): 1 for tokens, 0 for padding. None: there is no padding."""
        if "history_mask" not in inputs:
            return None
        return by_chunk(pad(inputs["history_mask"], (1, 0), value=True).to(dtype), inputs)

    def narrow_layers(self, dtype: torch.dtype) -> None:
        """Compute the layers in another type. Encoders, embeddings and the scores' layer keep 32 bits."""
        self.layers.to(dtype)

    def embed_history(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the histories as first-layer input, (B, 1 + L, width).

        The beginning comes first, then the ratings, oldest first.
        """
        history = self._history(inputs, self.read_profile(inputs))
        return dropout(history, self.options.dropout, self.training)

    def embed_candidates(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the candidates as first-layer input, (R, C, width).

        Each vector combines item features and request features.
        """
        candidates = self._candidates(inputs, self.read_profile(inputs))
        return dropout(candidates, self.options.dropout, self.training)

    def _history(self, inputs: Mapping[str, Tensor], profile: Tensor | None) -> Tensor:
        """Return the embedded history without dropout, (B, 1 + L, width)."""
        past = self.past_proj(self.read_past(inputs))
        if self.table is not None:
            past = past + self.table(inputs["past_number"])
        beginning = self.beginning.expand(past.shape[0], -1)
        if profile is not None and self.profile_proj is not None:
            beginning = beginning + self.profile_proj(profile)
        return torch.cat([beginning[:, None], past], dim=1)

    def _candidates(self, inputs: Mapping[str, Tensor], profile: Tensor | None) -> Tensor:
        """Return the embedded candidates without dropout, (R, C, width)."""
        x: Tensor = self.item_proj(self.read_candidates(inputs))
        if self.table is not None:
            x = x + self.table(inputs["item_number"])
        if self.repeat_proj is not None:
            x = x + self.repeat_proj(self._repeats(inputs))
        request = self.read_request(inputs, profile)
        if request is not None and self.request_proj is not None:
            x = x + by_chunk(self.request_proj(request), inputs)[:, None]
        return x

    def _repeats(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return, for each candidate, 1 and the history's values for the same item, (R, C, 1 + values).

        All are 0 if the candidate is not in the history. If it occurs several times, its entries are summed.
        Without this input, attention would have to learn that equal embeddings mean the same item.
        """
        number, past_number = inputs["item_number"], inputs["past_number"]
        mask = (
            inputs["history_mask"]
            if "history_mask" in inputs
            else torch.ones_like(past_number, dtype=torch.bool)
        )
        same = number[:, :, None] == by_chunk(past_number, inputs)[:, None]
        same = same & by_chunk(mask, inputs)[:, None] & (number > 0)[:, :, None]
        values = mask.to(self.beginning.dtype)[..., None]
        if self.past is not None:
            values = torch.cat([values, self.past(inputs)], dim=-1)
        return same.to(values.dtype) @ by_chunk(values, inputs)

    def signature(self, feature_hash: str) -> "Signature":
        """Return the declared inputs and their sources in a pipeline."""
        from models.signature import InputSpec

        read = super().signature(feature_hash)
        if self.options.number is None:
            return read
        item = f"item.{self.options.number[0]}"
        past = f"{item}@user.{self.options.history}:list"
        numbers = (
            InputSpec(name="item_number", source=item, dtype="int64"),
            InputSpec(name="past_number", source=past, dtype="int64"),
        )
        return read.model_copy(update={"inputs": (*numbers, *read.inputs)})


def _narrowed(x: Tensor, layers: Sequence[TransformerLayer]) -> Tensor:
    """Return x in the type of the residual stream."""
    dtype = layers[0].attention_norm.weight.dtype
    return x if x.dtype == dtype else x.to(dtype)
