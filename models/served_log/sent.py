"""The sent items of a list as bytes: msgpack of their ids, and of each catalogue column's type, shape and values."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from models.errors import ArtifactError
from models.features.catalogue import item_key
from models.features.sent_table import SentValues
from models.served_log.schema import SENT


class _Column(msgspec.Struct, array_like=True):
    """A column: its name, its numpy type, the shape of one value, and the values of all items."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class _Sent(msgspec.Struct, array_like=True):
    ids: list[str]
    columns: list[_Column]


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Sent)


def encode_sent(sent: SentValues) -> bytes:
    """Return the items as bytes."""
    columns = [
        _Column(name, values.dtype.str, values.shape[1:], values.tobytes())
        for name, values in sent.values.items()
    ]
    return _encoder.encode(_Sent(list(sent.ids), columns))


def decode_sent(encoded: bytes) -> SentValues:
    """Return the items.

    Raises:
        ArtifactError: the bytes are damaged.
    """
    try:
        decoded = _decoder.decode(encoded)
        values = {}
        for column in decoded.columns:
            dtype = np.dtype(column.dtype)
            if dtype.kind not in "iuf" or min(column.shape, default=0) < 0:
                raise ValueError(f"{column.name} has the type {column.dtype} and the shape {column.shape}")
            if len(column.data) != len(decoded.ids) * math.prod(column.shape) * dtype.itemsize:
                raise ValueError(f"{column.name} has {len(column.data)} bytes for {len(decoded.ids)} items")
            flat = np.frombuffer(column.data, dtype)
            values[column.name] = flat.reshape(len(decoded.ids), *column.shape)
    except (msgspec.MsgspecError, ValueError, TypeError, SyntaxError, OverflowError) as error:
        raise ArtifactError(f"the sent items cannot be read: {error}") from error
    return SentValues(decoded.ids, values)


def sent_of(column: pa.ChunkedArray) -> list[SentValues | None]:
    """Return the sent items of each list. An empty list: there are none in any list."""
    if column.null_count == len(column):
        return []
    return [None if encoded is None else decode_sent(encoded) for encoded in column.to_pylist()]


def expect_sent(path: Path, table: pa.Table) -> None:
    """Check the sent items of the lists in a file.

    Raises:
        ArtifactError: some are damaged, or are not in their list. The error names the file and the row.
    """
    rows = np.flatnonzero(table[SENT].is_valid().to_numpy())
    some = table.select([SENT, "keys"]).take(rows)
    for row, encoded, keys in zip(
        rows.tolist(), some[SENT].to_pylist(), some["keys"].to_pylist(), strict=True
    ):
        try:
            sent, shown = decode_sent(encoded), set(keys)
        except ArtifactError as error:
            raise ArtifactError(
                f"{path}: row {row}: {error}; leave the file out, or copy it again"
            ) from error
        other = [item_id for item_id in sent.ids if item_key(item_id) not in shown]
        if other:
            raise ArtifactError(
                f"{path}: row {row}: the sent items must be in the list, got {other[0][:80]!r}; leave the file out, or "
                f"copy it again"
            )
