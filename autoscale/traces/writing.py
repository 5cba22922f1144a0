"""Writes traces to CSV and Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.traces.bins import Arrivals, Bins


def write_bins(counts: Bins, path: Path, comments: Sequence[str] = ()) -> None:
    """Write counts as CSV or Parquet, depending on the path's suffix.

    ``candidates_cv`` and ``dispersion`` are left out if they are 0 everywhere.

    Raises:
        TraceError: the suffix is neither .csv nor .parquet, or the file cannot be written.
    """
    table = {
        "time_s": counts.start_s + np.arange(len(counts)) * counts.step_s,
        "requests": counts.requests,
        "candidates": np.round(counts.candidates, 3),
        "candidates_cv": np.round(counts.candidates_cv, 4),
        "dispersion": np.round(counts.dispersion, 4),
    }
    columns = {
        name: values for name, values in table.items() if not name.endswith(("_cv", "ion")) or values.any()
    }
    _write(pa.table({name: _whole(values) for name, values in columns.items()}), path, comments)


def write_arrivals(chunks: Iterator[Arrivals], path: Path) -> int:
    """Write requests as Parquet, chunk by chunk, and return their number.

    Raises:
        TraceError: there are no requests, or the file cannot be written.
    """
    staging, number, writer = path.with_suffix(".writing"), 0, None
    try:
        for chunk in chunks:
            columns = {"time_s": chunk.times_s, "candidates": chunk.candidates}
            if chunk.priorities is not None:
                columns["priority"] = chunk.priorities
            if chunk.deadlines_ms is not None:
                columns["deadline_ms"] = chunk.deadlines_ms
            table = pa.table(columns)
            writer = writer or pa.parquet.ParquetWriter(staging, table.schema, compression="zstd")
            writer.write_table(table)
            number += len(chunk)
        if writer is None:
            raise TraceError(f"{path}: not written, because there are no requests")
    except OSError as error:
        raise TraceError(
            f"{path}: cannot be written: {error.strerror or error}; make the folder writable, or free space"
        ) from error
    finally:
        if writer is not None:
            writer.close()
    staging.replace(path)
    return number


def _whole(values: NDArray[np.floating[Any]]) -> NDArray[Any]:
    return values.astype(np.int64) if (values == np.floor(values)).all() else values


def _write(table: pa.Table, path: Path, comments: Sequence[str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            with path.open("wb") as file:
                file.write("".join(f"# {line}\n" for line in comments).encode())
                file.write((",".join(table.column_names) + "\n").encode())
                options = pa.csv.WriteOptions(include_header=False)
                pa.csv.write_csv(table, file, options)
        elif path.suffix == ".parquet":
            annotated = table.replace_schema_metadata({"source": "\n".join(comments)})
            pa.parquet.write_table(annotated, path, compression="zstd")
        else:
            raise TraceError(f"{path}: a trace must be a .csv or .parquet file; rename it")
    except OSError as error:
        raise TraceError(
            f"{path}: cannot be written: {error.strerror or error}; make the folder writable, or free space"
        ) from error
