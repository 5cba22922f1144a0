"""Trace files in CSV or Parquet. Files with single requests are read in chunks.

- A file with single requests has the columns ``time_s`` and ``candidates``, and optionally ``priority`` and
  ``deadline_ms``.
- A file with counts has ``time_s`` (when each bin starts, evenly spaced), ``requests`` and ``candidates`` (the mean per
  request), and optionally ``candidates_cv`` and ``dispersion``.

A CSV file may begin with lines that start with ``#``. They give its origin and licence.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.traces.bins import Arrivals, Bins
from autoscale.traces.trace import ArrivalTrace, BinnedTrace, Trace
from autoscale.traces.validation import MAX_CANDIDATES

_ARRIVALS = ({"time_s", "candidates"}, {"priority", "deadline_ms"})
_BINS = ({"time_s", "requests", "candidates"}, {"candidates_cv", "dispersion"})
_ROWS_AT_ONCE = 500_000
_MAX_BINS = 10_000_000


def open_trace(path: Path) -> Trace:
    """Open a trace. Single requests are read later, when they are needed. Counts are read immediately.

    Raises:
        TraceError: the file cannot be read, or is not a valid trace.
    """
    columns = set(_columns(path))
    required, optional = _BINS if "requests" in columns else _ARRIVALS
    if missing := sorted(required - columns):
        raise TraceError(f"{path}: missing column {', '.join(missing)}; add it as docs/planning.md describes")
    if unknown := sorted(columns - required - optional):
        raise TraceError(
            f"{path}: unknown column {', '.join(unknown)}; remove it, or use one of "
            f"{', '.join(sorted(required | optional))}"
        )
    if "requests" in columns:
        return BinnedTrace(path.stem, _read_bins(path))
    return ArrivalTrace(path.stem, lambda: (_arrivals(table, path) for table in _tables(path)))


def _columns(path: Path) -> list[str]:
    try:
        if path.suffix == ".parquet":
            return list(pa.parquet.read_schema(path).names)
        if path.suffix != ".csv":
            raise TraceError(f"{path}: a trace must be a .csv or .parquet file; name such a file")
        with path.open(encoding="utf-8") as file:
            header = next((line for line in file if not line.startswith("#")), "")
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise TraceError(f"{path}: cannot be read: {error}; name a readable CSV or Parquet file") from error
    if not header.strip():
        raise TraceError(
            f"{path}: is empty; write the column names in its first line, for example time_s,candidates"
        )
    return [name.strip().strip('"') for name in header.split(",")]


def _tables(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        if path.suffix == ".parquet":
            with pa.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(_ROWS_AT_ONCE)
            return
        with path.open("rb") as lines:
            comments = sum(1 for _ in itertools.takewhile(lambda line: line.startswith(b"#"), lines))
        options = pa.csv.ReadOptions(skip_rows=comments + 1, column_names=_columns(path))
        types = pa.csv.ConvertOptions(column_types=dict.fromkeys(options.column_names, pa.float64()))
        with pa.csv.open_csv(path, options, convert_options=types) as reader:
            yield from reader
    except (OSError, pa.ArrowException) as error:
        raise TraceError(f"{path}: cannot be read: {error}; name a readable CSV or Parquet file") from error


def _column(table: pa.RecordBatch, name: str, path: Path) -> NDArray[np.float64]:
    """Return a column as float64. Missing values are NaN."""
    try:
        column = table.column(name).cast(pa.float64(), safe=False)
    except pa.ArrowException as error:
        raise TraceError(
            f"{path}: column {name}: expected numbers, got {table.schema.field(name).type}"
        ) from error
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _arrivals(table: pa.RecordBatch, path: Path) -> Arrivals:
    times, candidates = _column(table, "time_s", path), _column(table, "candidates", path)
    whole = (
        (candidates == np.floor(candidates))
        & (candidates <= MAX_CANDIDATES)
        & (candidates >= -MAX_CANDIDATES)
    )
    if not whole.all():
        index = int((~whole).argmax())
        raise TraceError(
            f"{path}: the request at time_s {times[index]:g}: candidates must be a whole number below 2^31, "
            f"got {candidates[index]:g}"
        )
    names = table.schema.names
    priorities = _column(table, "priority", path) if "priority" in names else None
    if priorities is not None and not (np.abs(priorities) <= MAX_CANDIDATES).all():
        raise TraceError(
            f"{path}: priority must be a number below 2^31 for every request; correct the column, or remove it"
        )
    return Arrivals(
        times,
        candidates.astype(np.int32),
        None if priorities is None else priorities.astype(np.int32),
        _column(table, "deadline_ms", path) if "deadline_ms" in names else None,
    )


def _read_bins(path: Path) -> Bins:
    tables, rows = [], 0
    for table in _tables(path):
        tables.append(table)
        rows += len(table)
        if rows > _MAX_BINS:
            raise TraceError(f"{path}: has more than {_MAX_BINS} bins; use wider bins")
    if rows < 2:
        raise TraceError(
            f"{path}: expected at least two bins, because their distance is the bin width, got {rows}"
        )
    names = tables[0].schema.names

    def column(name: str) -> NDArray[np.float64]:
        if name not in names:
            return np.zeros(rows)
        return np.concatenate([_column(table, name, path) for table in tables])

    times = column("time_s")
    steps = np.diff(times)
    if not (np.isfinite(times).all() and np.allclose(steps, steps[0], rtol=1e-6)):
        index = int(np.argmax(~np.isclose(steps, steps[0], rtol=1e-6)))
        raise TraceError(
            f"{path}: bins must be evenly spaced, got {times[index]:g} and {times[index + 1]:g} s after a first step "
            f"of {steps[0]:g} s; add missing bins with 0 requests"
        )
    columns = (column(name) for name in ("requests", "candidates", "candidates_cv", "dispersion"))
    return Bins(float(times[0]), float(steps[0]), *columns)
