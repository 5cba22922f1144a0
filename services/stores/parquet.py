"""Parquet columns as features. Each column is checked and converted as a whole, and has one value for each row."""

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
    """One feature's values in B rows. Row i has the numbers flat[starts[i]:ends[i]].

    Attributes:
        feature: the feature definition.
        flat: (N,) all rows' numbers, in the feature's dtype.
        starts: (B,) the index in ``flat`` at which each row begins.
        ends: (B,) the index in ``flat`` after each row's last number.
        is_given: (B,) whether the row has a value in the file.
        faults: the faulty rows, each with a text about its fault.
    """

    feature: Feature
    flat: NDArray[Any]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    is_given: NDArray[np.bool_]
    faults: dict[int, str] = field(default_factory=dict)

    def dense(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the values, for a feature with a fixed shape.

        Returns:
            The values, (G, ...), from the G rows that have a complete value, and a mask of these rows, (B,) bool.
        """
        width = int(np.prod(self.feature.shape, dtype=np.int64))
        has_value = self.is_given & (self.ends - self.starts == width)
        indices = self.starts[has_value][:, None] + np.arange(width)
        return self.flat[indices].reshape(-1, *self.feature.shape), has_value

    def row(self, row: int) -> NDArray[Any] | None:
        """Return a row's value in the feature's shape, or None if the file has no value."""
        if not self.is_given[row]:
            return None
        values = self.flat[self.starts[row] : self.ends[row]]
        shape = self.feature.shape
        return values.reshape(-1, *shape) if self.feature.ragged else values.reshape(shape)


def read_column(feature: Feature, column: pa.Array) -> Values:
    """Convert an Arrow array to the values of a feature.

    Args:
        feature: the feature definition.
        column: numbers, or lists of numbers that are nested according to the feature's shape.

    Raises:
        StoreFailed: the column does not have numbers.
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
        expected = f"a multiple of {width}" if feature.ragged else f"{width}"
        values.faults[row] = (
            f"{feature.name}: the number of values must be {expected}, got {counts[row]}; correct the list"
        )
    return values


def _flattened(column: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Return each row's count of numbers, and all rows' numbers. An empty row has no numbers."""
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
    """Convert numbers to ``dtype``.

    Returns:
        The converted numbers, and a mask of the numbers that fit: whole and in range for integers, otherwise finite.
    """
    with np.errstate(all="ignore"):
        converted = raw.astype(dtype)
        if dtype.kind == "f":
            return converted, np.isfinite(converted)
        limits = np.iinfo(dtype)
        fits = (raw >= limits.min) & (raw <= limits.max) & (converted == raw)
    return converted, np.asarray(fits, dtype=np.bool_)


def _rows_at(ends: NDArray[np.int64], indices: NDArray[np.int64]) -> Iterator[int]:
    """Yield the rows that have the numbers at the given indices in ``flat``."""
    yield from np.unique(np.searchsorted(ends, indices, side="right")).tolist()
