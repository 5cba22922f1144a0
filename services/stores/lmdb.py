"""LMDB: embedded, memory-mapped, read by many processes at once."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import lmdb

from services.errors import ConfigError

_MAP_BYTES = 1 << 40
_ROWS_A_TRANSACTION = 10_000


class LmdbStore:
    """Rows by user id in one LMDB environment."""

    def __init__(self, path: Path, *, readonly: bool = True) -> None:
        """Open the environment at ``path``; the map is sparse, its limit costs nothing.

        Raises:
            ConfigError: it is not there, or is not LMDB's.
        """
        if readonly and not path.exists():
            raise ConfigError(
                f"no feature store at {path}: build or load it first", field="features.store.path"
            )
        if not readonly:
            path.mkdir(parents=True, exist_ok=True)
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

    def read_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Read all keys in one transaction; a key that LMDB could not hold (over 511 bytes) has no row."""
        with self._environment.begin(buffers=False) as transaction:
            get = transaction.get
            return [get(key) if 0 < len(key) <= self._max_key_bytes else None for key in keys]

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write in transactions of bounded size."""
        written = 0
        iterator = iter(rows)
        while part := list(islice(iterator, _ROWS_A_TRANSACTION)):
            with self._environment.begin(write=True) as transaction:
                for key, value in part:
                    transaction.put(key, value)
            written += len(part)
        return written

    def close(self) -> None:
        """Unmap the environment."""
        self._environment.close()
