"""Rows with list columns as one row per value: a shown list in one row becomes a row for each item."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows, Part


def flattened(part: Part, key: str, others: Sequence[str], bad: BadRows) -> Part:
    """Return a part with one row for each value of the column ``key``, if that has lists. Else return the part.

    Args:
        part: the rows.
        key: the column with the lists.
        others: columns that may have lists of the same lengths. Values of the remaining columns are repeated.
        bad: collects rows whose lists differ in length.

    Raises:
        ArtifactError: lists differ in length, and bad rows are not skipped.
    """
    if not is_list(part.data.column(key).type):
        return part
    lengths = lengths_of(part.data.column(key))
    good = np.ones(len(lengths), dtype=np.bool_)
    lists = [key, *(name for name in others if name != key and is_list(part.data.column(name).type))]
    for name in lists[1:]:
        wrong = lengths_of(part.data.column(name)) != lengths
        bad.report(
            part,
            wrong,
            name,
            f"must have as many values as {key}",
            "correct the list",
            part.data.column(name),
        )
        good &= ~wrong
    kept = np.flatnonzero(good)
    rows = np.repeat(kept, lengths[kept])
    chosen = part.data.take(pa.array(kept))
    columns = [
        pc.list_flatten(chosen.column(name)) if name in lists else part.data.column(name).take(pa.array(rows))
        for name in part.data.schema.names
    ]
    data = pa.RecordBatch.from_arrays(columns, names=part.data.schema.names)
    return replace(part, data=data, origin=rows)


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is a list of values."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def lengths_of(column: pa.Array) -> NDArray[np.int64]:
    """Return the number of values in each row."""
    return np.asarray(pc.list_value_length(column).fill_null(0), dtype=np.int64)
