"""A ranker without attention, distilled from the history ranker. It answers if the history ranker is too slow.

The user's history is pooled into one vector (deep sets, Zaheer et al. 2017, arXiv:1703.06114). The vector is multiplied
elementwise with each candidate (neural matrix factorisation, He et al. 2017, arXiv:1708.05031). One feed-forward layer
follows. The pooled ranker reads the same features as the history ranker, except item numbers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from models.architectures.options import PooledRankerOptions
from models.architectures.ranker import Ranker
from models.architectures.resizing import resize


class PooledRanker(Ranker):
    """Scores candidates in chunks (R, C). ``signature`` declares the inputs."""

    options: PooledRankerOptions

    def __init__(self, options: PooledRankerOptions) -> None:
        """Build the module with random weights from torch's current seed."""
        super().__init__(options)
        self.options = options
        width = options.width
        self.past_up = nn.Linear(self.past_width, 2 * width)
        self.past_down = nn.Linear(2 * width, width)
        self.request_proj = nn.Linear(self.request_width + width, options.hidden)
        self.key_proj = nn.Linear(self.candidate_width, width)
        self.item_proj = nn.Linear(self.candidate_width, options.hidden, bias=False)
        self.match_proj = nn.Linear(width, options.hidden, bias=False)
        self.score_proj = nn.Linear(options.hidden, 1)
        resize(self, options.linears)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the scores, (R, C)."""
        chunk_of = inputs["chunk_of"]
        user = self._user(inputs)
        request_features = self.read_request(inputs, self.read_profile(inputs))
        request = self.request_proj(
            user if request_features is None else torch.cat([request_features, user], dim=-1)
        )
        candidates = self.read_candidates(inputs)
        match = self.key_proj(candidates) * user[chunk_of][:, None]
        x = self.item_proj(candidates) + self.match_proj(match) + request[chunk_of][:, None]
        scores: Tensor = self.score_proj(relu(x))
        return scores.squeeze(-1)

    def _user(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return each user's mean rating vector, (B, width), or 0 for an empty history."""
        present = inputs["history_mask"].to(torch.float32)[..., None]
        ratings: Tensor = self.past_down(relu(self.past_up(self.read_past(inputs)))) * present
        return ratings.sum(dim=1) / present.sum(dim=1).clamp(min=1.0)
