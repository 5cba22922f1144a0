"""Generated clicks. A hidden teacher knows each row's true probability of a click, and the label is one draw from it.

The rows have the shape of Criteo's click logs: 13 dense features, and 26 sparse fields. As in such logs, few values of
a field are frequent and most are rare: the value of rank k has a probability proportional to 1 / (k + 10)^1.2. The
ranks are scattered over a field's numbers, as those of hashed ids are.

The teacher's logit is a sum of three parts:

- a weight for each value of each field. Fields differ in importance.
- dot products of hidden vectors, for pairs of neighbouring fields. They are what a DLRM's dot products can learn.
- a linear and a bent function of the dense features.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.architectures.options import DlrmOptions

CHUNK = 20_000
"""Rows that are generated together. A chunk depends on its number only, so that rows can be read from anywhere."""
_EXPONENT, _HEAD = 1.2, 10.0
_WEIGHTS, _PAIRS, _DENSE = 1.35, 0.6, 0.8
"""Standard deviations of the logit's parts."""
_BIAS = -1.4
_HIDDEN = 4
_FADING: Final = 0.85
"""The importance of each field compared with the field before."""


@dataclass(frozen=True, slots=True)
class Clicks:
    """Generated rows.

    Attributes:
        dense: float32 (N, D).
        sparse: int64 (N, F), counted from 0 within each field.
        labels: float32 (N,), 1 for a click.
        chances: float32 (N,), the true probability of a click, which only the teacher knows.
    """

    dense: NDArray[np.float32]
    sparse: NDArray[np.int64]
    labels: NDArray[np.float32]
    chances: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def rows(self, part: slice | NDArray[np.int64]) -> "Clicks":
        """Return some of the rows."""
        return Clicks(self.dense[part], self.sparse[part], self.labels[part], self.chances[part])


class Teacher:
    """Draws clicks. The same options and seed give the same clicks."""

    def __init__(self, options: DlrmOptions, seed: int = 1) -> None:
        """Draw the hidden weights. They take 24 bytes for each table row.

        Args:
            options: the numbers of dense features, fields and rows per field.
            seed: the seed of the teacher and of all rows.
        """
        random = np.random.default_rng([seed, 0])
        fields, rows = options.fields, options.rows
        self._seed, self._dense = seed, options.dense
        chances = 1.0 / (np.arange(rows) + _HEAD) ** _EXPONENT
        self._cumulated = np.cumsum(chances / chances.sum())
        self._numbers = np.stack([random.permutation(rows).astype(np.int32) for _ in range(fields)])
        importance = _FADING ** np.arange(fields)
        importance /= np.sqrt((importance**2).sum())
        weights = random.standard_normal((fields, rows), dtype=np.float32)
        self._weights = weights * (_WEIGHTS * importance[:, None]).astype(np.float32)
        # A dot product of two standard normal vectors has the variance of their length.
        scale = (_PAIRS / np.sqrt(_HIDDEN * max(1, fields - 1))) ** 0.5
        self._vectors = scale * random.standard_normal((fields, rows, _HIDDEN), dtype=np.float32)
        self._linear, self._bent = (
            _DENSE / np.sqrt(2 * options.dense) * random.standard_normal((2, options.dense))
        ).astype(np.float32)

    def chunks(self, rows: int, first: int = 0) -> Iterator[Clicks]:
        """Yield rows in chunks of at most ``CHUNK``.

        Args:
            rows: number of rows.
            first: the first row, a multiple of ``CHUNK``. Rows before it were used for something else.
        """
        if first % CHUNK:
            raise ValueError(f"first: must be a multiple of {CHUNK}, got {first}")
        for start in range(first, first + rows, CHUNK):
            # Always the whole chunk: the sums of fewer rows would be rounded differently.
            yield self._chunk(start // CHUNK).rows(slice(first + rows - start))

    def draw(self, rows: int, first: int = 0) -> Clicks:
        """Return rows in one piece, as ``chunks`` yields them."""
        parts = list(self.chunks(rows, first))
        names = ("dense", "sparse", "labels", "chances")
        return Clicks(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def _chunk(self, number: int) -> Clicks:
        random = np.random.default_rng([self._seed, 1, number])
        fields = len(self._numbers)
        dense = random.standard_normal((CHUNK, self._dense), dtype=np.float32)
        ranks = np.searchsorted(self._cumulated, random.random((CHUNK, fields)))
        sparse = self._numbers[np.arange(fields), np.minimum(ranks, len(self._cumulated) - 1)].astype(
            np.int64
        )
        chances = (1.0 / (1.0 + np.exp(-self._logits(dense, sparse)))).astype(np.float32)
        labels = (random.random(CHUNK) < chances).astype(np.float32)
        return Clicks(dense, sparse, labels, chances)

    def _logits(self, dense: NDArray[np.float32], sparse: NDArray[np.int64]) -> NDArray[np.float32]:
        field = np.arange(sparse.shape[1])
        vectors = self._vectors[field, sparse]
        logits: NDArray[np.float32] = self._weights[field, sparse].sum(axis=1) + np.float32(_BIAS)
        logits += np.einsum("nfh,nfh->n", vectors[:, :-1], vectors[:, 1:])
        logits += dense @ self._linear + (np.abs(dense) - np.float32(0.8)) @ self._bent
        return logits
