"""The items nearest to a position. The index is made once for a catalogue, and its deltas are added to it.

After a delta, the index of an earlier state is used again: dead rows are skipped, and the added rows have a small index
of their own. If many rows changed, the index is made again.
"""

import weakref
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.features.catalogue import Catalogue

_KM_PER_DEGREE = 111.195
_MAX_CHANGED_SHARE, _MIN_CHANGED = 0.01, 1000


@dataclass(frozen=True, slots=True)
class _Index:
    """The index of one state.

    Attributes:
        state: the catalogue's deltas in it.
        size: the catalogue's rows in it, dead or not.
        rows: the row of each indexed position. None: they are the first rows.
        scale: kilometres per degree of latitude and longitude.
    """

    state: str
    size: int
    rows: NDArray[np.int64] | None
    scale: NDArray[np.float64]
    tree: Any


_indices: MutableMapping[Catalogue, _Index] = weakref.WeakKeyDictionary()
"""The newest index of each catalogue without deltas that is open."""


def places_of(catalogue: Catalogue, positions: NDArray[Any]) -> "Places":
    """Return the index of the positions (rows, 2), in degrees, of a catalogue's items."""
    index = _indices.get(catalogue.base)
    if index is None or not catalogue.has_state(index.state):
        index = _indices[catalogue.base] = _index_of(catalogue, positions)
    dead = _dead_in(catalogue, index)
    changed = len(dead) + len(catalogue) - index.size
    if changed > max(_MIN_CHANGED, _MAX_CHANGED_SHARE * index.size):
        index = _indices[catalogue.base] = _index_of(catalogue, positions)
        dead = _dead_in(catalogue, index)
    added = np.arange(index.size, len(catalogue))
    return Places(index, dead, added[catalogue.living(added)], positions)


def _index_of(catalogue: Catalogue, positions: NDArray[Any]) -> _Index:
    scale = np.array([1.0, np.cos(np.radians(float(np.mean(positions[:, 0]))))]) * _KM_PER_DEGREE
    rows = None
    if len(catalogue.dead):
        rows = np.delete(np.arange(len(catalogue)), catalogue.dead)
        positions = positions[rows]
    tree = cKDTree(np.asarray(positions, dtype=np.float64) * scale)
    return _Index(catalogue.state, len(catalogue), rows, scale, tree)


def _dead_in(catalogue: Catalogue, index: _Index) -> NDArray[np.int64]:
    """Return the rows of the index that are dead now."""
    dead = catalogue.dead[catalogue.dead < index.size]
    if index.rows is None or not len(dead):
        return dead
    places = np.searchsorted(index.rows, dead).clip(max=max(0, len(index.rows) - 1))
    return dead[index.rows[places] == dead] if len(index.rows) else dead[:0]


class Places:
    """Finds the nearest items of one state of a catalogue."""

    def __init__(
        self, index: _Index, dead: NDArray[np.int64], added: NDArray[np.int64], positions: NDArray[Any]
    ) -> None:
        """Use the index without the ``dead`` rows and with the ``added`` ones."""
        self._index, self._dead, self._added = index, dead, added
        self._tree = None
        if len(added):
            self._tree = cKDTree(np.asarray(positions[added], dtype=np.float64) * index.scale)

    def nearest(self, positions: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        """Return the rows of the ``count`` nearest items, nearest first, int64 (B, count), or (B,) for one item.

        Args:
            positions: (B, 2) in degrees.
            count: at most the number of items.
        """
        points = np.asarray(positions) * self._index.scale
        if self._tree is None and not len(self._dead):
            return self._rows(self._index.tree.query(points, k=count)[1])
        distances, rows = self._living(points, count)
        if self._tree is not None:
            ranks = np.arange(1, min(count, len(self._added)) + 1)
            further, places = self._tree.query(points, k=ranks)
            distances = np.concatenate([distances, further], axis=1)
            rows = np.concatenate([rows, self._added[places]], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(rows, order, axis=1)

    def _living(
        self, points: NDArray[np.float64], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the nearest indexed items, at least ``count`` that are not dead. Dead ones are infinitely far away."""
        size, wanted = self._index.tree.n, count
        while True:
            ranks = np.arange(1, min(wanted, size) + 1)
            distances, places = self._index.tree.query(points, k=ranks)
            rows = self._rows(places)
            is_dead = self._is_dead(rows)
            most = int(is_dead.sum(axis=1).max(initial=0))
            if wanted >= min(size, count + most):
                return np.where(is_dead, np.inf, distances), rows
            wanted = count + 2 * most

    def _is_dead(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(self._dead):
            return np.zeros(rows.shape, dtype=np.bool_)
        places = np.searchsorted(self._dead, rows).clip(max=len(self._dead) - 1)
        is_dead: NDArray[np.bool_] = self._dead[places] == rows
        return is_dead

    def _rows(self, places: NDArray[Any]) -> NDArray[np.int64]:
        rows = np.asarray(places, dtype=np.int64)
        return rows if self._index.rows is None else self._index.rows[rows]
