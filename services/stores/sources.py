"""Sources for a load: Parquet files with a row for each user, or an embedded store's folder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.features.definition import FeatureSet
from models.features.rows import UserRowCodec, row_key
from services.errors import StoreFailed
from services.stores.lmdb import LmdbStore
from services.stores.lmdb_writer import MARKS
from services.stores.parquet import read_column

_ROWS_A_PART = 1000
USER = "user_id"


@dataclass(frozen=True, slots=True)
class RowChunk:
    """Rows that are written together, as one part of a load.

    Attributes:
        rows: pairs of a key and a row.
        done: the count of rows that the source has accepted or refused, including this part.
        position: where the source continues after this part.
        faults: a line for each row that was refused.
    """

    rows: list[tuple[bytes, bytes]]
    done: int
    position: Any
    faults: list[str]


class RowSource(Protocol):
    """Rows in a fixed order. ``total`` counts them."""

    total: int

    def parts(self, position: Any) -> Iterator[RowChunk]:
        """Yield the parts after ``position``. None is the beginning."""
        ...

    def stamp(self) -> str:
        """Return a text that identifies the content. If the text changes, a load starts over."""
        ...


class ParquetSource:
    """A Parquet file with the column user_id and columns for features. Features without a column get their defaults."""

    def __init__(self, path: Path, features: FeatureSet) -> None:
        """Open the file, and check its columns against the definitions.

        Raises:
            StoreFailed: the file is not Parquet, has unknown columns, or has no column user_id.
        """
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise StoreFailed(f"{path} cannot be read as Parquet: {error}; name a Parquet file") from error
        self.total = int(self._file.metadata.num_rows)
        self._codec = UserRowCodec(features)
        users = {feature.name: feature for feature in self._codec.loadable}
        names = [name for name in self._file.schema_arrow.names if name != USER]
        self._features = [users[name] for name in names if name in users]
        unknown = sorted(set(names) - users.keys())
        if unknown or USER not in self._file.schema_arrow.names:
            fault = f"unknown columns {', '.join(unknown)}" if unknown else f"no column {USER}"
            raise StoreFailed(
                f"{path}: must have the column {USER}, and may have {', '.join(sorted(users))}, got {fault}; "
                f"rename or drop columns"
            )

    def parts(self, position: Any) -> Iterator[RowChunk]:
        """Yield the parts from row number ``position``. None is the first row."""
        row = int(position or 0)
        group, first = 0, 0
        while group < self._file.num_row_groups:
            count = self._file.metadata.row_group(group).num_rows
            if first + count > row:
                break
            group, first = group + 1, first + count
        skipped = row - first
        groups = list(range(group, self._file.num_row_groups))
        columns = [USER, *(feature.name for feature in self._features)]
        for batch in self._file.iter_batches(_ROWS_A_PART, row_groups=groups, columns=columns):
            remaining = batch.slice(skipped) if skipped < batch.num_rows else batch.slice(batch.num_rows)
            skipped = max(0, skipped - batch.num_rows)
            if remaining.num_rows:
                rows, faults = self._encoded(remaining, row)
                row += remaining.num_rows
                yield RowChunk(rows, row, row, faults)

    def stamp(self) -> str:
        """Return the file's size, its modification time and the hash of the definitions, as text."""
        state = self._path.stat()
        return json.dumps([state.st_size, state.st_mtime_ns, self._codec.tag.hex()])

    def _encoded(self, batch: pa.RecordBatch, first: int) -> tuple[list[tuple[bytes, bytes]], list[str]]:
        users = batch.column(USER).cast(pa.string()).to_pylist()
        columns = [read_column(feature, batch.column(feature.name)) for feature in self._features]
        faults: dict[int, str] = {}
        for column in columns:
            faults |= column.faults
        ragged = [column for column in columns if column.feature.ragged]
        lists: list[dict[str, NDArray[Any]]] = []
        events: list[dict[str, NDArray[Any]]] = []
        for index, user in enumerate(users):
            lists.append({})
            events.append({})
            if not user:
                faults[index] = f"{USER}: is empty; write the id that requests send"
            if index in faults:
                continue
            values = {column.feature.name: column.row(index) for column in ragged}
            lists[index] = {name: value for name, value in values.items() if value is not None}
            try:
                events[index] = self._codec.events.of_lists(lists[index])
            except ValueError as error:
                faults[index] = str(error)
        fixed = {column.feature.name: column.dense() for column in columns if not column.feature.ragged}
        encoded = zip(users, self._codec.encode_many(fixed, lists, events), strict=True)
        group = self._codec.group
        rows = [
            (row_key(group, user.encode()), row)
            for index, (user, row) in enumerate(encoded)
            if index not in faults
        ]
        return rows, [f"{self._path} row {first + index}: {faults[index]}" for index in sorted(faults)]


class LmdbSource:
    """An embedded store's rows. They are copied unchanged."""

    def __init__(self, path: Path, features: FeatureSet) -> None:
        """Open the store.

        Raises:
            ConfigError: the folder has no store.
        """
        self._path = path
        self._store = LmdbStore(path)
        self._tags = {
            row_key(codec.group, b""): codec.tag
            for codec in (UserRowCodec(features, "user"), UserRowCodec(features, "realtime"))
        }
        self.total = self._store.count()

    def parts(self, position: Any) -> Iterator[RowChunk]:
        """Yield the parts after ``position``.

        Args:
            position: the count of rows that are done, and the last such row's key in hexadecimal. None starts at the
                first row.

        Raises:
            StoreFailed: a row was written with other feature definitions.
        """
        done, key = position or (0, "")
        rows: list[tuple[bytes, bytes]] = []
        for stored_key, row in self._store.rows_after(bytes.fromhex(key)):
            if stored_key.startswith(MARKS):
                continue
            tag = next((tag for key, tag in self._tags.items() if stored_key.endswith(key[1:])), b"")
            if not tag or row[: len(tag)] != tag:
                raise StoreFailed(
                    f"{self._path}: the row of {stored_key[:80]!r} must have the feature definitions "
                    f"{tag.hex() or 'of the group user or realtime'}, got {row[:8].hex()}; build the folder again "
                    f"with the present definitions"
                )
            rows.append((stored_key, row))
            done += 1
            if len(rows) == _ROWS_A_PART:
                yield RowChunk(rows, done, (done, stored_key.hex()), [])
                rows = []
        if rows:
            yield RowChunk(rows, done, (done, rows[-1][0].hex()), [])

    def stamp(self) -> str:
        """Return the data's modification time and the hashes of the definitions, as text."""
        return json.dumps(
            [(self._path / "data.mdb").stat().st_mtime_ns, [tag.hex() for tag in self._tags.values()]]
        )


def open_source(path: Path, features: FeatureSet) -> RowSource:
    """Open a Parquet file, or an embedded store's folder.

    Raises:
        ServiceError: ``path`` is neither a Parquet file nor a store, or does not fit the definitions.
    """
    if not path.exists():
        raise StoreFailed(f"{path}: does not exist; name a Parquet file, or an embedded store's folder")
    return LmdbSource(path, features) if path.is_dir() else ParquetSource(path, features)
