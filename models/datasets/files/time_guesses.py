"""The formats in which the values of a column are times."""

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows, Part
from models.datasets.files.times import times_of
from models.datasets.time_format import TimeFormat, TimeUnit

SHARE = 0.98
"""A column has a type if this share of its filled values has it."""
_TIMED = 5_000
_UNITS: tuple[tuple[TimeUnit, float], ...] = (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9))
_EARLIEST_S, _LATEST_S = 3.0e8, 4.0e9  # 1979 to 2096
_PATTERNS = (
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d",
    "%d-%m-%Y %H:%M", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y",
)  # fmt: skip


def is_time(kind: pa.DataType) -> bool:
    """Return whether a type has times."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def spread(some: pa.Array) -> pa.Array:
    """Return some of the values, evenly spaced."""
    return (
        some.take(pa.array(np.unique(np.linspace(0, len(some) - 1, _TIMED).astype(np.int64))))
        if len(some)
        else some
    )


def times_in(
    part: Part, name: str, array: pa.Array, some: pa.Array, numbers: NDArray[np.float64] | None
) -> tuple[TimeFormat, ...]:
    """Return the formats in which the values are times."""
    if is_time(array.type):
        return (TimeFormat(),)
    if numbers is not None:
        for unit, scale in _UNITS:
            if len(numbers) and _EARLIEST_S * scale < np.median(numbers) < _LATEST_S * scale:
                return (TimeFormat(unit=unit),)
        return ()
    some = spread(some)
    tested = Part(part.path, 1, "row", pa.RecordBatch.from_arrays([some], names=[name]))
    iso = bool(len(some)) and re.match(r"^\s*\d{4}-\d\d-\d\d", some[0].as_py()) is not None
    formats = [TimeFormat(zone="UTC")] if iso else [TimeFormat(pattern=p, zone="UTC") for p in _PATTERNS]
    return tuple(
        form.model_copy(update={"zone": None})
        for form in formats
        if len(some) and times_of(tested, name, form, BadRows(skip=True), now_s=1e12)[1].mean() >= SHARE
    )


def fits_pattern(texts: pa.Array, pattern: str) -> bool:
    """Return whether texts are times of a strptime pattern."""
    some = spread(texts.drop_null())
    tested = Part("", 1, "row", pa.RecordBatch.from_arrays([some], names=["time"]))
    form = TimeFormat(pattern=pattern, zone="UTC")
    good = times_of(tested, "time", form, BadRows(skip=True), now_s=1e12)[1]
    return bool(len(some) and good.mean() >= SHARE)
