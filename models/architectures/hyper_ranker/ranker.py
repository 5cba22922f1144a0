"""A ranker whose only layer over the candidates gets its weights from the request. It is the fastest fallback.

A small network reads the request and the pooled history (deep sets, Zaheer et al. 2017, arXiv:1703.06114). It generates
the weights of one feed-forward layer (hypernetworks, Ha et al. 2016, arXiv:1609.09106). So request and candidate are
multiplied with each other, but a candidate costs one product with a narrow matrix. All other work is done once per
request. The hyper ranker reads the same features as the history ranker, except item numbers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.options import HyperRankerOptions
from models.architectures.ranker import Ranker, by_chunk
from models.architectures.resizing import resize

CUT = 50.0
"""The largest activation. A caller may send extreme values, and this bounds the scores."""


class HyperRanker(Ranker):
    """Scores candidates in chunks (R, C). ``signature`` declares the inputs."""

    options: HyperRankerOptions

    def __init__(self, options: HyperRankerOptions) -> None:
        """Build the module with random weights from torch's current seed."""
        super().__init__(options)
        self.options = options
        for encoder in (self.items, self.past, self.cells):
            if encoder is not None:
                encoder.limit = None  # CUT limits the activations, which are fewer than the columns
        self.past_proj = nn.Linear(self.past_width, options.pooled)
        self.code_proj = nn.Linear(self.request_width + options.pooled, options.width)
        self.layer_proj = nn.Linear(options.width, (self.candidate_width + 1) * options.hidden)
        self.score_proj = nn.Linear(options.hidden, 1, bias=False)
        resize(self, options.linears)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the scores, (R, C)."""
        layer = by_chunk(self._layers(inputs), inputs)
        x = self.read_candidates(inputs) @ layer[:, :-1] + layer[:, -1:]
        scores: Tensor = self.score_proj(x.clamp(0.0, CUT))
        return scores.squeeze(-1)

    def for_export(self) -> Architecture:
        """Return the form with folded constants, whose graph has fewer operations."""
        from models.architectures.hyper_ranker.folded import FoldedHyperRanker

        return FoldedHyperRanker(self)

    def _layers(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return each request's layer, (B, candidate_width + 1, hidden). Its last row is the bias."""
        request = self.read_request(inputs, self.read_profile(inputs))
        pooled = self._pooled(inputs)
        read = pooled if request is None else torch.cat([request, pooled], dim=-1)
        code = self.code_proj(read).clamp(-CUT, CUT)
        layers: Tensor = self.layer_proj(code)
        return layers.view(-1, self.candidate_width + 1, self.options.hidden)

    def _pooled(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of each user's encoded ratings, (B, pooled), or 0 for an empty history."""
        encoded = self.past_proj(self.read_past(inputs)).clamp(0.0, CUT)
        mean: Tensor = shares_of(inputs) @ encoded
        return mean.squeeze(1)


def shares_of(inputs: Mapping[str, Tensor]) -> Tensor:
    """Return each rating's share in the mean over the history, (B, 1, L). Padding has the share 0."""
    present = inputs["history_mask"].to(torch.float32)[:, None]
    return present / present.sum(dim=-1, keepdim=True).clamp(min=1.0)
