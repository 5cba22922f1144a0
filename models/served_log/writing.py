"""Write the served log: lists and feedback become tables, and tables become files."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

from models.features.definition import FeatureSet
from models.features.sent_table import SentValues
from models.ragged import RaggedArray, RaggedBatch
from models.served_log.schema import PER_CANDIDATE_SOURCES, SENT, feedback_schema, lists_schema, logged
from models.served_log.sent import encode_sent


@dataclass(frozen=True)
class ShownLists:
    """B answers, with their users and times.

    Attributes:
        batch: the batch as it was served. Its N candidates are in the order of the answers.
        keys: int64 (N,), item keys.
        scores: float32 (N,).
        positions: int32 (N,), from 0 in each answer.
        request_ids: B ids.
        user_ids: B ids.
        at_s: float64 (B,), epoch seconds.
        sent: the items of each list that were sent with their features. Empty if there are none in any list.
    """

    batch: RaggedBatch
    keys: NDArray[np.int64]
    scores: NDArray[np.float32]
    positions: NDArray[np.int32]
    request_ids: Sequence[str]
    user_ids: Sequence[str]
    at_s: NDArray[np.float64]
    sent: Sequence[SentValues | None] = ()


@dataclass(frozen=True)
class Feedback:
    """E feedback events.

    Attributes:
        request_ids: E request ids of the shown lists.
        keys: int64 (E,), item keys.
        events: the names of E kinds of feedback.
        values: float32 (E,), from 0 to 1, or 1 for kinds without a value.
        at_s: float64 (E,), epoch seconds.
    """

    request_ids: Sequence[str]
    keys: NDArray[np.int64]
    events: Sequence[str]
    values: NDArray[np.float32]
    at_s: NDArray[np.float64]


def lists_table(shown: ShownLists, features: FeatureSet, schema: pa.Schema | None = None) -> pa.Table:
    """Return a table with one row per list.

    Args:
        shown: the lists.
        features: the definitions with which the lists were served.
        schema: the result of ``lists_schema(features)``. Pass it to save time for many tables.

    Raises:
        KeyError: the batch does not have a column that the definitions declare.
    """
    batch, schema = shown.batch, schema or lists_schema(features)
    columns = {
        "request_id": pa.array(shown.request_ids, pa.string()),
        "at_s": pa.array(shown.at_s, pa.float64()),
        "release": pa.array([batch.release] * len(batch), pa.string()),
        "user_id": pa.array(shown.user_ids, pa.string()),
        "keys": _lists(batch.offsets, shown.keys, pa.int64()),
        "scores": _lists(batch.offsets, shown.scores, pa.float32()),
        "positions": _lists(batch.offsets, shown.positions, pa.int32()),
        SENT: _sent(shown),
    }
    for name in logged(features):
        kind = schema.field(name).type
        if name.startswith(PER_CANDIDATE_SOURCES):
            columns[name] = _lists(batch.offsets, batch.candidates[name], kind.value_type)
            continue
        column = batch.requests[name]
        if isinstance(column, RaggedArray):
            columns[name] = _lists(column.offsets, column.values, kind.value_type)
        else:
            columns[name] = _values(column, kind)
    return pa.table(columns, schema=schema)


def feedback_table(feedback: Feedback) -> pa.Table:
    """Return a table with one row per event."""
    columns = [feedback.request_ids, feedback.keys, feedback.events, feedback.values, feedback.at_s]
    schema = feedback_schema()
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def write_log_file(table: pa.Table, path: Path | str, filesystem: AbstractFileSystem | None = None) -> None:
    """Write one file completely or not at all, on the local file system by default.

    Readers never see an incomplete file.

    Raises:
        OSError: the file cannot be written. Nothing is left behind.
    """
    target, path = LocalFileSystem() if filesystem is None else filesystem, str(path)
    staging = f"{path}.writing"
    target.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        with target.open(staging, "wb") as file:
            pq.write_table(table, file, compression="zstd")
        target.mv(staging, path)
    except BaseException:
        with suppress(OSError):
            target.rm(staging)
        raise


def _sent(shown: ShownLists) -> pa.Array:
    if not shown.sent:
        return pa.nulls(len(shown.batch), pa.large_binary())
    encoded = [None if sent is None else encode_sent(sent) for sent in shown.sent]
    return pa.array(encoded, pa.large_binary())


def _lists(offsets: NDArray[np.int64], values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), _values(values, kind))


def _values(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return values (T, ...) as T array elements with the declared dtype."""
    if not pa.types.is_fixed_size_list(kind):
        return pa.array(np.ascontiguousarray(values, kind.to_pandas_dtype()))
    flat = np.ascontiguousarray(values, kind.value_type.to_pandas_dtype()).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), kind.list_size)
