"""A ranker without attention, to be distilled from one with it: what answers when there is no time for more.

A user's past is pooled once into one vector (deep sets, Zaheer et al. 2017, arXiv:1703.06114); a candidate
meets it in an elementwise product (neural matrix factorisation, He et al. 2017, arXiv:1708.05031) and one
feed-forward layer. It reads what the history ranker reads.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from models.architectures.kind import ArchitectureKind
from models.architectures.options import PooledRankerOptions
from models.architectures.ranker import Ranker


class PooledRanker(Ranker):
    """Scores chunks (R, C) of the candidates of B requests; inputs as ``signature`` declares them."""

    options: PooledRankerOptions

    def __init__(self, options: PooledRankerOptions) -> None:
        """Build with random weights from torch's present seed."""
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

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give scores (R, C): of the candidates in each chunk."""
        chunk_of = inputs["chunk_of"]
        user = self._user(inputs)
        asked = self.read_request(inputs, self.read_profile(inputs))
        request = self.request_proj(user if asked is None else torch.cat([asked, user], dim=-1))
        candidates = self.read_candidates(inputs)
        match = self.key_proj(candidates) * user[chunk_of][:, None]
        x = self.item_proj(candidates) + self.match_proj(match) + request[chunk_of][:, None]
        scores: Tensor = self.score_proj(relu(x))
        return scores.squeeze(-1)

    def _user(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give (B, width): the mean of what each rating says; zeros for an empty past."""
        kept = inputs["history_mask"].to(torch.float32)[..., None]
        said: Tensor = self.past_down(relu(self.past_up(self.read_past(inputs)))) * kept
        return said.sum(dim=1) / kept.sum(dim=1).clamp(min=1.0)


ARCHITECTURE = ArchitectureKind(config=PooledRankerOptions, build=PooledRanker)
