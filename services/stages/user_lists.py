"""Precomputed lists of items for some users, read from a Parquet file. Deltas of the catalogue need no new reading."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.features.catalogue import Catalogue
from services.errors import ConfigError

_USERS_AT_ONCE = 1000
"""The lists that are read before other threads can run."""


@dataclass(frozen=True, slots=True)
class UserLists:
    """The lists of one state of a catalogue.

    Attributes:
        catalogue: the items.
        rows: catalogue rows by user, best first, as they were when the file was read.
        missing: the ids in the file that were not in the catalogue.
        row_count: the rows of the catalogue when the file was read.
        file: the file's inode, modification time and size.
    """

    catalogue: Catalogue
    rows: Mapping[bytes, NDArray[np.int64]]
    missing: frozenset[str]
    row_count: int
    file: tuple[int, int, int]

    @classmethod
    def none(cls, catalogue: Catalogue) -> "UserLists":
        """Return the lists of a pipeline without lists."""
        return cls(catalogue, {}, frozenset(), len(catalogue), (0, 0, 0))

    def of(self, user: bytes) -> NDArray[np.int64] | None:
        """Return the user's items, each once, best first. None if there are none."""
        rows = self.rows.get(user)
        if rows is None or not len(self.catalogue.dead):
            return rows
        now = self.catalogue.rows_of_keys(self.catalogue.keys[rows])
        return now[now >= 0] if (now >= 0).any() else None

    def over(self, catalogue: Catalogue, path: Path) -> "UserLists":
        """Return the lists for a later state of the catalogue.

        The file is read again only if it has changed, or names an item that was missing and has been added.

        Raises:
            ConfigError: as for ``read_lists``.
        """
        added = catalogue.ids[self.row_count : len(catalogue)]
        if _identity(path) != self.file or not self.missing.isdisjoint(added):
            return read_lists(path, catalogue)
        return replace(self, catalogue=catalogue)


def read_lists(path: Path, catalogue: Catalogue) -> UserLists:
    """Return the users' lists.

    Items that are not in the catalogue and users without any item are left out.

    Raises:
        ConfigError: the file cannot be read, or its columns have other types.
    """
    file = _identity(path)
    try:
        table = pq.read_table(path, columns=["user_id", "items"])
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); use a Parquet file with user_id, and items as a list of ids",
            field="fallback.lists",
        ) from error
    users, items = table["user_id"], table["items"]
    if not (_is_text(users.type) and _is_list(items.type) and _is_text(items.type.value_type)):
        raise ConfigError(
            f"{path}: wrong column types, got user_id {users.type} and items {items.type}; use text for user_id and "
            f"lists of text for items",
            field="fallback.lists",
        )
    row_by_id = catalogue.row_by_id
    missing: set[str] = set()
    lists: dict[bytes, NDArray[np.int64]] = {}
    for part in table.to_batches(max_chunksize=_USERS_AT_ONCE):
        for user, item_ids in zip(part["user_id"].to_pylist(), part["items"].to_pylist(), strict=True):
            ids = [item for item in dict.fromkeys(item_ids or ()) if item is not None]
            rows = [row_by_id[item] for item in ids if item in row_by_id]
            if user is None:
                continue
            if len(rows) < len(ids):
                missing.update(item for item in ids if item not in row_by_id)
            if rows:
                lists[user.encode()] = np.array(rows, dtype=np.int64)
    return UserLists(catalogue, lists, frozenset(missing), len(catalogue), file)


def _identity(path: Path) -> tuple[int, int, int]:
    """Return a file's inode, modification time and size. Zeros if it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
