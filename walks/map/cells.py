"""Cells: squares on a fixed grid over the map, numbered from 0. Each piece of news belongs to a cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PER_DEGREE = (400.0, 200.0)
"""A cell is 1/400 degree latitude by 1/200 degree longitude: 278 m by 277 m in Helsinki."""


@dataclass(frozen=True)
class Cells:
    """A grid of cells, numbered by rows from south to north and by columns from west to east.

    Attributes:
        first: cell 0's row and column, counted from latitude 0 and longitude 0.
        shape: row and column counts.
    """

    first: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def over(cls, latlon: NDArray[np.float64]) -> "Cells":
        """Return the smallest grid that contains all positions (N, 2), lat, lon degrees."""
        low, high = (_on_globe(edge[None])[0] for edge in (latlon.min(axis=0), latlon.max(axis=0)))
        rows, columns = high - low + 1
        return cls((int(low[0]), int(low[1])), (int(rows), int(columns)))

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]

    def index_at(self, latlon: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the cell index (N,) for each position (N, 2), lat, lon degrees. -1 if outside the grid."""
        cell = _on_globe(np.asarray(latlon, dtype=np.float64)) - self.first
        inside = ((cell >= 0) & (cell < self.shape)).all(axis=1)
        return np.where(inside, cell[:, 0] * self.shape[1] + cell[:, 1], -1)


def _on_globe(latlon: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(latlon * PER_DEGREE).astype(np.int64)
