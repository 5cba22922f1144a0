"""LMDB: embedded, memory-mapped, read by many processes at once.

A reader takes no locks: a process that serves opens an environment once and reads what lies there. Loading into
an environment that is being served needs a folder of its own, put in its place when whole.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import lmdb

from services.errors import ConfigError, StoreFailed
from services.stores.base import Reading

logger = logging.getLogger("ray.serve")
_MAP_BYTES = 1 << 40
_ROWS_A_TRANSACTION = 10_000


class LmdbStore:
    """Rows by key in one LMDB environment."""

    waits = False
    left_alone = 0

    def __init__(self, path: Path, *, readonly: bool = True) -> None:
        """Open the environment at ``path``; the map is sparse, its limit costs nothing.

        Raises:
            ConfigError: it is not there, or is not LMDB's.
        """
        self._path = path
        if readonly and not path.exists():
            raise ConfigError(
                f"no feature store at {path}; build or load it first", field="features.store.path"
            )
        if not readonly:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"features.store.path: cannot be made a folder, got {path} ({error}); name another",
                    field="features.store.path",
                ) from error
        try:
            self._environment = lmdb.open(
                str(path),
                map_size=_MAP_BYTES,
                readonly=readonly,
                lock=not readonly,
                readahead=False,
                max_readers=512,
            )
        except lmdb.Error as error:
            raise ConfigError(
                f"feature store at {path} cannot be opened: {error}; load it again",
                field="features.store.path",
            ) from error
        self._max_key_bytes = self._environment.max_key_size()

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys in one transaction; a key that LMDB could not hold (over 511 bytes) has no row."""
        try:
            with self._environment.begin(buffers=False) as transaction:
                get = transaction.get
                rows = [get(key) if 0 < len(key) <= self._max_key_bytes else None for key in keys]
        except lmdb.Error as error:  # damaged pages
            logger.error("feature store %s: %s; load it again", self._path, error)
            return Reading([None] * len(keys), range(len(keys)))
        return Reading(rows)

    def rows_after(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give keys and rows in the order of the keys, from the first that is greater than ``key``."""
        with self._environment.begin(buffers=False) as transaction, transaction.cursor() as cursor:
            has_row = cursor.set_range(key) if key else cursor.first()
            if has_row and key and cursor.key() == key:
                has_row = cursor.next()
            while has_row:
                yield cursor.item()
                has_row = cursor.next()

    def count(self) -> int:
        """Give the number of rows."""
        return int(self._environment.stat()["entries"])

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write in transactions of bounded size.

        Raises:
            StoreFailed: a key is longer than LMDB's, or the disk is full.
        """
        written = 0
        iterator = iter(rows)
        while part := list(islice(iterator, _ROWS_A_TRANSACTION)):
            with self.writing(part) as transaction:
                for key, value in part:
                    transaction.put(key, value)
            written += len(part)
        return written

    @contextmanager
    def writing(self, rows: Sequence[tuple[bytes, bytes]]) -> Iterator[lmdb.Transaction]:
        """Open a transaction that is to write ``rows``; it is committed if the block ends well.

        Raises:
            StoreFailed: as ``write_many``.
        """
        try:
            with self._environment.begin(write=True) as transaction:
                yield transaction
        except lmdb.BadValsizeError as error:
            longest = max(rows, key=lambda row: len(row[0]))[0]
            raise StoreFailed(
                f"LMDB at {self._path}: a key must have 1 to {self._max_key_bytes} bytes, got {len(longest)} in "
                f"{longest[:80]!r}; shorten that user id",
                field="features.store",
            ) from error
        except lmdb.Error as error:
            raise StoreFailed(
                f"LMDB at {self._path}: {error}; make room on its disk, or remove the folder and load again",
                field="features.store",
            ) from error

    def close(self) -> None:
        """Unmap the environment."""
        self._environment.close()
