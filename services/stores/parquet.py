"""Parquet columns as features: checked and cut a column at a time, a value a row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.features.definition import Feature
from services.errors import StoreFailed


@dataclass(slots=True)
class Values:
    """One feature of many rows: flat[starts[i]:ends[i]] is row i's. faults: what is wrong, by row."""

    feature: Feature
    flat: NDArray[Any]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    is_given: NDArray[np.bool_]
    faults: dict[int, str] = field(default_factory=dict)

    def dense(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Give the values (G, ...) of a feature of fixed shape, and which rows have one, bool (B,)."""
        width = int(np.prod(self.feature.shape, dtype=np.int64))
        whole = self.is_given & (self.ends - self.starts == width)
        indices = self.starts[whole][:, None] + np.arange(width)
        return self.flat[indices].reshape(-1, *self.feature.shape), whole

    def row(self, row: int) -> NDArray[Any] | None:
        """Give row's value in the feature's shape; None where the file has none."""
        if not self.is_given[row]:
            return None
        values = self.flat[self.starts[row] : self.ends[row]]
        shape = self.feature.shape
        return values.reshape(-1, *shape) if self.feature.ragged else values.reshape(shape)


def read_column(feature: Feature, column: pa.Array) -> Values:
    """Give a feature's values from an Arrow array: numbers, or lists of them, nested as its shape is.

    Raises:
        StoreFailed: the column holds no numbers.
    """
    is_given = np.asarray(column.is_valid())
    counts, numbers = _flattened(column)
    if pa.types.is_boolean(numbers.type):
        numbers = numbers.cast(pa.int8())
    if not (pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)):
        raise StoreFailed(
            f"column {feature.name}: must be {feature.dtype} of shape {feature.shape}, got {column.type}; "
            f"write numbers, or lists of them"
        )
    holes = np.asarray(numbers.is_null())
    raw = np.asarray(numbers.fill_null(0))
    flat, fits = _converted(raw, np.dtype(feature.dtype))
    ends = np.cumsum(counts)
    values = Values(feature, flat, ends - counts, ends, is_given)
    for row in _rows_at(ends, np.flatnonzero(holes)):
        values.faults[row] = (
            f"{feature.name}: the list has an empty value; write a number, or leave the whole list empty"
        )
    for row in _rows_at(ends, np.flatnonzero(~fits & ~holes)):
        values.faults[row] = (
            f"{feature.name}: a value does not fit {feature.dtype}; correct it, or leave it empty"
        )
    width = int(np.prod(feature.shape, dtype=np.int64))
    wrong = counts % width != 0 if feature.ragged else counts != width
    for row in np.flatnonzero(wrong & is_given).tolist():
        wanted = f"a multiple of {width}" if feature.ragged else f"{width}"
        values.faults[row] = (
            f"{feature.name}: the number of values must be {wanted}, got {counts[row]}; correct the list"
        )
    return values


def _flattened(column: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Give how many numbers each row has, and all of them; an empty row has none."""
    if not _is_list(column.type):
        valid = np.asarray(column.is_valid())
        return valid.astype(np.int64), column.drop_null()
    counts = np.asarray(pc.list_value_length(column).fill_null(0)).astype(np.int64)
    inner = column.flatten()
    if not _is_list(inner.type):
        return counts, inner
    deeper, numbers = _flattened(inner)
    sums = np.concatenate([[0], np.cumsum(deeper)])
    ends = np.cumsum(counts)
    return sums[ends] - sums[ends - counts], numbers


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _converted(raw: NDArray[Any], dtype: "np.dtype[Any]") -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Give the numbers as ``dtype``, and which of them that holds: whole and in range, or finite."""
    with np.errstate(all="ignore"):
        converted = raw.astype(dtype)
        if dtype.kind == "f":
            return converted, np.isfinite(converted)
        limits = np.iinfo(dtype)
        fits = (raw >= limits.min) & (raw <= limits.max) & (converted == raw)
    return converted, np.asarray(fits, dtype=np.bool_)


def _rows_at(ends: NDArray[np.int64], indices: NDArray[np.int64]) -> Iterator[int]:
    """Return the rows that the flat indices lie in."""
    yield from np.unique(np.searchsorted(ends, indices, side="right")).tolist()
