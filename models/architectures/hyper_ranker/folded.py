"""The hyper ranker with folded constants: the form that is exported as an ONNX graph.

On one thread a model of this size spends most of its time between operations, so the graph has as few as possible. The
encoders' constants are parts of the weights, scalars are read together, and so are distances. The scores equal those
of the module up to rounding.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.encoders import DISTANCE_WIDTH, FARTHEST_KM
from models.architectures.hyper_ranker.columns import (
    Constants,
    DistanceColumns,
    RequestColumns,
    log_of,
    plain_columns,
)
from models.architectures.hyper_ranker.ranker import CUT, HyperRanker, shares_of
from models.architectures.ranker import by_chunk
from models.architectures.resizing import matrix_of, parts_of

if TYPE_CHECKING:
    from models.architectures.options import HyperRankerOptions
    from models.signature import Signature


class FoldedHyperRanker(Architecture):
    """Scores candidates in chunks (R, C), as the hyper ranker from which it was made. It cannot be trained."""

    options: "HyperRankerOptions"
    past_weight: Tensor
    past_bias: Tensor
    code_weight: Tensor
    code_bias: Tensor
    layer_weight: Tensor
    layer_bias: Tensor
    score_weight: Tensor

    @torch.no_grad()
    def __init__(self, ranker: HyperRanker) -> None:
        """Fold the constants of a trained ranker."""
        super().__init__()
        self.options = ranker.options
        self._reads = ranker.options
        self._signature = ranker.signature
        self._rows = ranker.candidate_width + 1
        self._past_scalars = ((), ()) if ranker.past is None else (ranker.past.linear, ranker.past.logs)
        self.distances = DistanceColumns(ranker.options.distances)
        self.request = RequestColumns(ranker.options, ranker.context, ranker.profile)
        self._of_past = Constants([ranker.items, ranker.past])
        self._of_request = Constants([ranker.context, ranker.profile, ranker.request], self.request.order)
        self._of_items = Constants([ranker.items, ranker.cells])
        code = matrix_of(ranker.code_proj)
        order = [*self.request.order, *range(ranker.request_width, code.shape[1])]
        self._keep("past", *self._of_past.folded(matrix_of(ranker.past_proj), _bias_of(ranker.past_proj)))
        self._keep("code", *self._of_request.folded(code[:, order], _bias_of(ranker.code_proj)))
        self._keep("layer", *self._folded_layer(ranker))
        self.register_buffer(
            "score_weight", matrix_of(ranker.score_proj).detach().t().contiguous(), persistent=False
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the scores, (R, C)."""
        layers = torch.addmm(self.layer_bias, self._code(inputs), self.layer_weight)
        layer = by_chunk(layers.view(-1, self._rows, self.options.hidden), inputs)
        weight, bias = torch.split(layer, [self._rows - 1, 1], dim=1)
        hidden = (self._candidates(inputs) @ weight + bias).clamp(0.0, CUT)
        return (hidden @ self.score_weight).squeeze(-1)

    def signature(self, feature_hash: str) -> "Signature":
        """Return the ranker's signature."""
        return self._signature(feature_hash)

    def _code(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the code of each request, (B, width)."""
        past = plain_columns(inputs, self._reads.items, "past_")
        linear, logs = ([inputs[each.name][..., None] for each in group] for group in self._past_scalars)
        past += [*linear, *(log_of(each) for each in logs)]
        encoded = self._of_past.shifted(torch.cat(past, dim=-1)) @ self.past_weight + self.past_bias
        read = [(shares_of(inputs) @ encoded.clamp(0.0, CUT)).squeeze(1)]
        if self.request.order:
            read.insert(0, self._of_request.clamped(self.request(inputs)))
        return torch.addmm(self.code_bias, torch.cat(read, dim=-1), self.code_weight).clamp(-CUT, CUT)

    def _candidates(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the candidates' columns, (R, C, candidate_width). All km come before all logarithms."""
        columns = plain_columns(inputs, self._reads.items, "item_")
        columns += plain_columns(inputs, self._reads.cells, "cell_")
        if self._of_items.shift is not None:
            columns = [self._of_items.shifted(torch.cat(columns, dim=-1))]
        if self._reads.distances:
            km = self.distances(inputs).clamp(max=FARTHEST_KM)
            columns += [km, torch.log(km + 1.0)]
        return torch.cat(columns, dim=-1)

    def _folded_layer(self, ranker: HyperRanker) -> tuple[Tensor, Tensor]:
        """Return the layer's generator for raw columns: weight (width, rows * hidden) and bias (rows * hidden,)."""
        hidden, count = ranker.options.hidden, len(ranker.options.distances)
        of_items = len(self._of_items.scale)
        km = range(of_items, of_items + DISTANCE_WIDTH * count, DISTANCE_WIDTH)
        order = [*range(of_items), *km, *(first + 1 for first in km)]
        scale = torch.cat([self._of_items.scale, self._of_items.scale.new_ones(DISTANCE_WIDTH * count)])
        mean = torch.cat([self._of_items.mean, self._of_items.mean.new_zeros(DISTANCE_WIDTH * count)])

        def fold(rows: Tensor) -> Tensor:
            """Return rows (candidate_width + 1, ...) for raw columns. The last one is the bias."""
            of_columns = rows[order] * scale.view(-1, *[1] * (rows.dim() - 1))
            bias = rows[-1] - torch.tensordot(mean, of_columns, dims=1)
            return torch.cat([of_columns, bias[None]]).float()

        generator = matrix_of(ranker.layer_proj).double()
        weight = fold(generator.view(-1, hidden, generator.shape[1]))
        bias = fold(_bias_of(ranker.layer_proj).double().view(-1, hidden))
        return weight.flatten(0, 1).t().contiguous(), bias.flatten()

    def _keep(self, name: str, weight: Tensor, bias: Tensor) -> None:
        self.register_buffer(f"{name}_weight", weight, persistent=False)
        self.register_buffer(f"{name}_bias", bias, persistent=False)


def _bias_of(product: nn.Module) -> Tensor:
    return parts_of(product)[1].bias
