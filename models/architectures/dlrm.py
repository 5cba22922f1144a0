"""DLRM, the recommendation model in MLPerf and many other benchmarks (Naumov et al. 2019, arXiv:1906.00091).

One embedding table holds the rows of all sparse fields, one field after the other. So a batch needs one lookup in
total, not one per field.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.resizing import resize

if TYPE_CHECKING:
    from models.architectures.options import DlrmOptions
    from models.signature import Signature


class Dlrm(Architecture):
    """DLRM: scores candidates (N,) from dense features and sparse row numbers.

    The dense features are (N, D), one row per candidate. With ``dense_per_request`` they are (B, D), one row per
    request. The sparse features are row numbers (N, F), counted from 0 within each field.

    Attributes:
        first_row: int64 (F,), the first table row of each field.
        pairs: int64, the positions below the diagonal in the flattened dot-product matrix.
    """

    options: "DlrmOptions"
    first_row: Tensor
    pairs: Tensor

    def __init__(self, options: "DlrmOptions") -> None:
        """Build the module with random weights from torch's current seed."""
        super().__init__()
        self.options = options
        vectors = options.fields + 1
        self.table = nn.Parameter(torch.empty(options.fields * options.rows, options.width))
        bound = math.sqrt(1.0 / options.rows)
        nn.init.uniform_(self.table, -bound, bound)
        self.bottom = _stack((options.dense, *options.bottom, options.width), last_activated=True)
        self.top = _stack(
            (options.width + vectors * (vectors - 1) // 2, *options.top, 1), last_activated=False
        )
        self.register_buffer("first_row", torch.arange(options.fields) * options.rows)
        row, column = torch.tril_indices(vectors, vectors, offset=-1)
        self.register_buffer("pairs", row * vectors + column)
        resize(self, options.linears)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the scores (N,)."""
        dense: Tensor = self.bottom(inputs["dense"])
        if self.options.dense_per_request:
            dense = dense.index_select(0, inputs["request_of"])
        looked_up = torch.nn.functional.embedding(inputs["sparse"] + self.first_row, self.table)
        vectors = torch.cat([dense[:, None], looked_up], dim=1)
        products = (vectors @ vectors.transpose(1, 2)).flatten(1)
        # Selecting rows of the transposed matrix is several times faster than selecting columns.
        picked = products.t().index_select(0, self.pairs)
        scores: Tensor = self.top(torch.cat([dense.t(), picked]).t())
        return scores.squeeze(-1)

    def signature(self, feature_hash: str) -> "Signature":
        """Return the declared inputs and their sources in a pipeline."""
        from models.signature import InputSpec, Signature

        options = self.options
        source = "user.dense" if options.dense_per_request else "item.dense"
        inputs = [
            InputSpec(name="dense", source=source, shape=(options.dense,)),
            InputSpec(name="sparse", source="item.sparse", dtype="int64", shape=(options.fields,)),
        ]
        if options.dense_per_request:
            inputs.append(InputSpec(name="request_of", source="batch.request_of", dtype="int64"))
        return Signature(inputs=tuple(inputs), feature_hash=feature_hash)


def _stack(widths: Sequence[int], *, last_activated: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*(parts if last_activated else parts[:-1]))
