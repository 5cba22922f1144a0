"""A catalogue with deltas. It has the rows of its base, and after them the rows that the deltas added.

A row stands for the same item with the same values for ever. A changed item gets a new row, and its old row is dead. So
a batch with rows from an older state can be finished with a newer one.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.features.catalogue import KEYS, Catalogue, item_key
from models.features.deltas.delta import Delta, DeltaManifest
from models.features.deltas.growing import GrowingArray

_NONE: NDArray[np.int64] = np.empty(0, dtype=np.int64)


class RowsById(Mapping[str, int]):
    """Row numbers by id: those of a base, except for some ids that have other rows or none."""

    def __init__(self, base: Mapping[str, int], changed: Mapping[str, int | None]) -> None:
        """Put the changes over the base. An id with None has no row."""
        self._base, self._changed = base, changed

    def __getitem__(self, item_id: str) -> int:
        """Return the row of an id."""
        if item_id not in self._changed:
            return self._base[item_id]
        row = self._changed[item_id]
        if row is None:
            raise KeyError(item_id)
        return row

    def __iter__(self) -> Iterator[str]:
        """Yield all ids that have a row."""
        yield from (item_id for item_id, row in self._changed.items() if row is not None)
        yield from (item_id for item_id in self._base if item_id not in self._changed)

    def __len__(self) -> int:
        """Return the number of ids that have a row."""
        return sum(1 for _ in self)


class GrownCatalogue(Catalogue):
    """A catalogue and further deltas. Older states stay valid, and share their arrays with the newer ones."""

    def __init__(self, previous: Catalogue, deltas: Sequence[tuple[Delta, DeltaManifest]]) -> None:
        """Add the rows of the deltas.

        Raises:
            ArtifactError: a delta does not follow the state before it, or its columns differ from the catalogue's.
        """
        older = previous if isinstance(previous, GrownCatalogue) else None
        self.root, self.manifest, self.files = previous.root, previous.manifest, previous.files
        self._base = previous.base
        self._growing: dict[str, GrowingArray] = (
            {name: GrowingArray(file) for name, file in self.files.items()}
            if older is None
            else older._growing
        )
        self.keys, self.columns, self.ids = previous.keys, dict(previous.columns), previous.ids
        self._added_details: list[bytes] = [] if older is None else older._added_details
        self._changed: dict[str, int | None] = {} if older is None else dict(older._changed)
        self._states: dict[str, None] = {"": None} if older is None else dict(older._states)
        self._changed_keys, self._changed_rows = (_NONE, _NONE) if older is None else older._changes
        self.state, self._rows = previous.state, len(previous)
        dead: list[int] = []
        for delta, manifest in deltas:
            _expect_fitting(self, delta, manifest)
            dead += self._add(delta)
            self.state = manifest.state
            self._states[self.state] = None
        self.dead = np.union1d(previous.dead, np.array(dead, dtype=np.int64))

    def _add(self, delta: Delta) -> list[int]:
        """Add the rows of a delta. Return the rows that are dead now."""
        first, ids = self._rows, (*delta.ids, *delta.removed)
        keys = np.array([item_key(item_id) for item_id in ids], dtype=np.int64)
        before = self.base.rows_of_keys(keys).tolist()
        dead = []
        for offset, (item_id, base_row) in enumerate(zip(ids, before, strict=True)):
            row = self._changed.get(item_id, None if base_row < 0 else base_row)
            dead += [] if row is None else [row]
            self._changed[item_id] = first + offset if offset < len(delta.ids) else None
        added = len(delta.ids)
        rows = np.where(np.arange(len(ids)) < added, first + np.arange(len(ids)), -1)
        newest_first = np.concatenate([keys, self._changed_keys])
        self._changed_keys, firsts = np.unique(newest_first, return_index=True)
        self._changed_rows = np.concatenate([rows, self._changed_rows])[firsts]
        self.keys = self._growing[KEYS].after(first, keys[:added])
        for name in self.columns:
            self.columns[name] = self._growing[name].after(first, delta.columns[name])
        self.ids = _extended(self.ids, first, delta.ids)
        self._added_details = _extended(self._added_details, first - len(self.base), delta.details)
        self._rows = first + added
        return dead

    @property
    def _changes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The keys of changed items, ascending, and their rows. -1: the item was removed."""
        return self._changed_keys, self._changed_rows

    @property
    def base(self) -> Catalogue:
        """The catalogue without deltas."""
        return self._base

    def __len__(self) -> int:
        """Return the number of rows, of which some are dead."""
        return self._rows

    def has_state(self, state: str) -> bool:
        """Return whether this catalogue has all rows of that state."""
        return state in self._states

    @cached_property
    def identity(self) -> str:
        """The base's identity."""
        return self.base.identity

    @cached_property
    def row_by_id(self) -> Mapping[str, int]:
        """Row number by item id."""
        return RowsById(self.base.row_by_id, self._changed)

    def rows_of_keys(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the int64 row of each key, -1 for items that this state does not have."""
        rows = self.base.rows_of_keys(keys)
        if len(self._changed_keys):
            places = np.searchsorted(self._changed_keys, keys).clip(max=len(self._changed_keys) - 1)
            is_changed = self._changed_keys[places] == keys
            rows[is_changed] = self._changed_rows[places[is_changed]]
        return rows

    def details(self, row: int) -> bytes:
        """Return the item's stored JSON document."""
        base_rows = len(self.base)
        return self.base.details(row) if row < base_rows else self._added_details[row - base_rows]


def _extended(present: list[Any], count: int, added: Any) -> list[Any]:
    """Append to a list that older states share. If another state has appended already, use a copy."""
    if len(present) != count:
        present = present[:count]
    present.extend(added)
    return present


def _expect_fitting(previous: Catalogue, delta: Delta, manifest: DeltaManifest) -> None:
    if manifest.after != previous.state:
        raise ArtifactError(
            f"delta {manifest.state}: must follow state {previous.state or 'none'} of catalogue "
            f"{previous.manifest.name}, got {manifest.after or 'none'}; copy all deltas from one machine"
        )
    if manifest.feature_hash != previous.manifest.feature_hash:
        raise ArtifactError(
            f"delta {manifest.state}: must have feature hash {previous.manifest.feature_hash}, got "
            f"{manifest.feature_hash}; make it again with the current definitions"
        )
    expected = {name: (column.dtype, column.shape[1:]) for name, column in previous.columns.items()}
    actual = {name: (column.dtype, column.shape[1:]) for name, column in delta.columns.items()}
    if expected != actual:
        names = [name for name in {**expected, **actual} if expected.get(name) != actual.get(name)]
        raise ArtifactError(
            f"delta {manifest.state}: column {names[0]} must be {_layout(expected.get(names[0]))}, got "
            f"{_layout(actual.get(names[0]))}; make the delta again"
        )


def _layout(layout: tuple[np.dtype[Any], tuple[int, ...]] | None) -> str:
    return "missing" if layout is None else f"{layout[0]} of shape {layout[1]}"
