"""The users of an event log as rows for a feature store, as they are after the last event."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.datasets.events import EventLog, last_moments
from models.datasets.features import histories
from models.datasets.files.progress import Progress
from models.ragged import RaggedArray

USER_ID = "user_id"
_CHUNK = 4096
_PREFIX = "user."


def write_users(path: Path, log: EventLog, keys: NDArray[np.int64], history: int, progress: Progress) -> None:
    """Write a Parquet file with the column user_id and a column per stored user feature.

    Args:
        path: the file.
        log: the events.
        keys: int64 (I,), catalogue keys by item number.
        history: maximum history length in items.
        progress: receives the number of users that were written.
    """
    moments = last_moments(log)
    writer: pq.ParquetWriter | None = None
    try:
        for start in range(0, len(moments), _CHUNK):
            part = moments.take(np.arange(start, min(start + _CHUNK, len(moments))))
            columns = histories(log, part, keys, history)
            table = pa.table(
                {
                    USER_ID: pa.array(log.user_ids[start : start + len(part)], pa.string()),
                    **{
                        n.removeprefix(_PREFIX): _array(c)
                        for n, c in columns.items()
                        if n.startswith(_PREFIX)
                    },
                }
            )
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            progress("writing the users", start + len(part), len(moments))
    finally:
        if writer is not None:
            writer.close()


def _array(column: RaggedArray | NDArray[Any]) -> pa.Array:
    if isinstance(column, RaggedArray):
        return pa.ListArray.from_arrays(pa.array(column.offsets, pa.int32()), pa.array(column.values))
    if column.ndim == 1:
        return pa.array(column)
    return pa.FixedSizeListArray.from_arrays(pa.array(column.reshape(-1)), int(np.prod(column.shape[1:])))
