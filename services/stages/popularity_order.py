"""The order of a catalogue's items by popularity. It is made once for a catalogue, and its deltas are merged into it.

Sorting a million items takes a large part of a second. A delta changes few of them, so only the first items of each
list are merged with the added ones.
"""

import weakref
from collections.abc import MutableMapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from models.features.definition import CELL

_NOWHERE = -1
"""The only cell of a catalogue without cells."""


@dataclass(frozen=True, slots=True)
class BaseOrder:
    """The rows of a catalogue without deltas, int32, the most popular first.

    Attributes:
        overall: (rows,) the whole catalogue.
        by_cell: (rows,) the cells' items, cell after cell.
        cells: (C,) the cells, ascending.
        starts: (C + 1,) the places in ``by_cell`` at which the cells begin.
    """

    overall: NDArray[np.int32]
    by_cell: NDArray[np.int32]
    cells: NDArray[np.int64]
    starts: NDArray[np.int64]


class BaseOrders:
    """The orders of all catalogues without deltas that are in use. Only one thread at a time may use this object."""

    def __init__(self) -> None:
        """Start without any order."""
        self._orders: MutableMapping[Catalogue, dict[str | None, BaseOrder]] = weakref.WeakKeyDictionary()

    def of(self, catalogue: Catalogue, column: str | None, popularity: NDArray[np.float32]) -> BaseOrder:
        """Return the order of the rows that a catalogue has without its deltas, and make it if necessary.

        Args:
            catalogue: the items.
            column: the item column with the popularity.
            popularity: (rows,) of every row.
        """
        orders = self._orders.setdefault(catalogue.base, {})
        if column not in orders:
            orders[column] = _sorted(len(catalogue.base), cells_of(catalogue), popularity)
        return orders[column]


def cells_of(catalogue: Catalogue, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64] | None:
    """Return the cells of some rows, or of all. None: the catalogue has no cells."""
    cells = catalogue.columns.get(CELL)
    if cells is None:
        return None
    return np.asarray(cells if rows is None else cells.take(rows), dtype=np.int64)


def _sorted(count: int, cells: NDArray[np.int64] | None, popularity: NDArray[np.float32]) -> BaseOrder:
    overall = np.argsort(-popularity[:count], kind="stable").astype(np.int32)
    if cells is None:
        return BaseOrder(overall, overall, np.array([_NOWHERE]), np.array([0, count]))
    own = cells[:count][overall]
    by_cell = overall[np.argsort(own, kind="stable")]
    values, counts = np.unique(own, return_counts=True)
    return BaseOrder(overall, by_cell, values, np.concatenate([[0], np.cumsum(counts)]))


class PopularityOrder:
    """The most popular items of one state of a catalogue.

    Attributes:
        base: the order of the catalogue without its deltas.
        cells: (C,) the cells, ascending.
    """

    def __init__(self, catalogue: Catalogue, base: BaseOrder, popularity: NDArray[np.float32]) -> None:
        """Merge the catalogue's deltas into its order.

        Args:
            catalogue: the items.
            base: the order of the catalogue without its deltas.
            popularity: (rows,) of every row.
        """
        self.base = base
        self._catalogue, self._popularity = catalogue, popularity
        base_rows = len(catalogue.base)
        added = np.arange(base_rows, len(catalogue))
        self._added = added[catalogue.living(added)]
        added_cells, dead = self._cells(self._added), catalogue.dead[catalogue.dead < base_rows]
        self._dead = len(dead)
        self.cells = np.union1d(self.base.cells, added_cells)
        self._base_places = np.searchsorted(self.base.cells, self.cells)
        dead_places = np.searchsorted(self.base.cells, self._cells(dead))
        self._dead_by_place = np.bincount(dead_places, minlength=len(self.base.cells))
        by_cell = np.argsort(added_cells, kind="stable")
        self._added_by_cell = self._added[by_cell]
        self._added_starts = np.searchsorted(added_cells[by_cell], np.append(self.cells, self.cells[-1:] + 1))

    def best(self, count: int) -> NDArray[np.int64]:
        """Return the first ``count`` items of the catalogue."""
        return self._merged(self.base.overall[: count + self._dead], self._added)[:count]

    def best_of_cell(self, place: int, count: int) -> NDArray[np.int64]:
        """Return the first ``count`` items of the cell at a place in ``cells``."""
        base, own = self.base, int(self._base_places[place])
        first = end = 0
        if own < len(base.cells) and base.cells[own] == self.cells[place]:
            first, end = int(base.starts[own]), int(base.starts[own + 1])
            end = min(end, first + count + int(self._dead_by_place[own]))
        added = self._added_by_cell[self._added_starts[place] : self._added_starts[place + 1]]
        return self._merged(base.by_cell[first:end], added)[:count]

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places in ``cells`` of the rows' cells."""
        return np.searchsorted(self.cells, self._cells(rows))

    def _cells(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        cells = cells_of(self._catalogue, rows)
        return np.full(len(rows), _NOWHERE) if cells is None else cells

    def _merged(self, ordered: NDArray[np.int32], added: NDArray[np.int64]) -> NDArray[np.int64]:
        """Merge ordered rows, except for dead ones, with added rows. Equally popular rows are in ascending order."""
        rows = ordered.astype(np.int64)
        if self._dead:
            rows = rows[self._catalogue.living(rows)]
        if not len(added):
            return rows
        rows = np.concatenate([rows, added])
        return rows[np.argsort(-self._popularity[rows], kind="stable")]
