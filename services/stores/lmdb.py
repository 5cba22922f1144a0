"""LMDB as a feature store: embedded, memory-mapped, and read by many processes at the same time.

A reader takes no locks, and a serving process opens an environment only once. Do not write to an environment that is
served. Load new rows into another folder. When the load is complete, replace the served folder with the new one.
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
_MAP_BYTES = 1 << 40  # the size limit. The map is sparse, so a high limit costs nothing
_ROWS_A_TRANSACTION = 10_000


class LmdbStore:
    """Rows by key in one LMDB environment."""

    waits = False
    left_alone = 0

    def __init__(self, path: Path, *, readonly: bool = True) -> None:
        """Open the environment.

        Args:
            path: the environment's folder.
            readonly: False makes the folder if it is missing, and allows writing.

        Raises:
            ConfigError: the folder is missing, cannot be made, or is not an LMDB environment.
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
                    f"cannot be created as a folder, got {path} ({error}); name another folder",
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
        """Read all keys in one transaction. A key that LMDB cannot store (empty, or over 511 bytes) has no row."""
        try:
            with self._environment.begin(buffers=False) as transaction:
                get = transaction.get
                rows = [get(key) if 0 < len(key) <= self._max_key_bytes else None for key in keys]
        except lmdb.Error as error:  # damaged pages
            logger.error("feature store %s: %s; load it again", self._path, error)
            return Reading([None] * len(keys), range(len(keys)))
        return Reading(rows)

    def rows_after(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys greater than ``key`` with their rows, in key order. b"" yields all keys."""
        with self._environment.begin(buffers=False) as transaction, transaction.cursor() as cursor:
            has_row = cursor.set_range(key) if key else cursor.first()
            if has_row and key and cursor.key() == key:
                has_row = cursor.next()
            while has_row:
                yield cursor.item()
                has_row = cursor.next()

    def count(self) -> int:
        """Return the key count, including the marks' keys."""
        return int(self._environment.stat()["entries"])

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write the rows in transactions of 10,000 rows. Return the row count.

        Raises:
            StoreFailed: a key is too long for LMDB, or the disk is full.
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
        """Open a transaction for the block. It is committed unless the block raises.

        Args:
            rows: the rows that the block writes. If a key is too long, the error names the longest one.

        Raises:
            StoreFailed: as for ``write_many``.
        """
        try:
            with self._environment.begin(write=True) as transaction:
                yield transaction
        except lmdb.BadValsizeError as error:
            longest = max(rows, key=lambda row: len(row[0]))[0]
            raise StoreFailed(
                f"LMDB at {self._path}: a key must have 1 to {self._max_key_bytes} bytes, got {len(longest)} in "
                f"{longest[:80]!r}; correct that user id",
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
