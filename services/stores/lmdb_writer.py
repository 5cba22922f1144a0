"""Loads into LMDB. Each part is one transaction. Its mark has the number of parts that are written so far."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from services.errors import StoreLost
from services.stores.lmdb import LmdbStore

MARKS = b"load/"
"""The prefix of each mark's key. Row keys begin with a brace."""
_MAX_ID_BYTES = 64


class LmdbWriter(LmdbStore):
    """Writes rows by key to one LMDB environment."""

    def __init__(self, path: Path) -> None:
        """Open the environment at ``path``, and make it if it is missing.

        Raises:
            ConfigError: the environment cannot be opened.
        """
        super().__init__(path, readonly=False)
        self._data = path / "data.mdb"
        self._opened = self._identity()

    def begin_load(self) -> str:
        """Write a load's first mark into the store. Return the id of the load."""
        load = secrets.token_hex(8)
        with self.writing(()) as transaction:
            transaction.put(_mark_of(load), b"0")
        return load

    def write_part(self, load: str, number: int, rows: Sequence[tuple[bytes, bytes]]) -> int:
        """Write a part and its mark in one transaction.

        Raises:
            StoreFailed: as for ``write_many``.
            StoreLost: an earlier part's mark is missing, or the folder was removed or replaced.
        """
        with self.writing(rows) as transaction:
            mark = transaction.get(_mark_of(load))
            if not self._is_in_place() or _parts(None if mark is None else bytes(mark)) < number - 1:
                raise StoreLost(
                    f"LMDB at {self._path} was removed, replaced or emptied during the load; run the load again, "
                    f"which starts over",
                    field="features.store",
                )
            for key, row in rows:
                transaction.put(key, row)
            transaction.put(_mark_of(load), b"%d" % number)
        return len(rows)

    def holds_parts(self, load: str, count: int) -> bool:
        """Return whether the load's mark counts at least ``count`` parts, in a folder that is still in place."""
        (mark,) = self.read_many([_mark_of(load)]).rows
        return self._is_in_place() and _parts(mark) >= count

    def end_load(self, load: str) -> None:
        """Remove a load's mark."""
        with self.writing(()) as transaction:
            transaction.delete(_mark_of(load))

    def _is_in_place(self) -> bool:
        """Return whether the opened file is still at the path. It may have been removed or replaced."""
        return self._identity() == self._opened

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._data.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _mark_of(load: str) -> bytes:
    return MARKS + load.encode(errors="replace")[:_MAX_ID_BYTES]


def _parts(mark: bytes | None) -> int:
    """Return the part count in a mark, or -1 if there is no mark."""
    return int(mark) if mark is not None and mark.isdigit() else -1
