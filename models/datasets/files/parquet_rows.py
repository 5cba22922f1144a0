"""Rows of Parquet files."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from models.datasets.files.opening import Open, expect_columns
from models.datasets.files.problems import BadRows, Part

ROWS = 65_536


def parquet_header(opened: Open, path: str) -> list[str]:
    """Return the column names."""
    with opened(path) as file:
        return list(pq.ParquetFile(file).schema_arrow.names)


def parquet_parts(
    opened: Open, path: str, wanted: list[str], bad: BadRows, after: Mapping[str, Any]
) -> Iterator[Part]:
    """Yield all rows, with the types of the file. Row groups before the first row that is needed are not read."""
    with opened(path) as source:
        file = pq.ParquetFile(source)
        expect_columns(path, wanted, file.schema_arrow.names)
        total, size = max(1, file.metadata.num_rows), source.seek(0, 2)
        start = int(after.get("rows", 0))
        ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
        groups = np.flatnonzero(ends > start).tolist()
        passed = int(ends[groups[0] - 1]) if groups and groups[0] else 0
        for batch in file.iter_batches(ROWS, row_groups=groups, columns=wanted, use_threads=False):
            kept = batch.slice(max(0, start - passed)).select(wanted)
            first, passed = max(start, passed), passed + batch.num_rows
            if kept.num_rows:
                yield Part(path, first + 1, "row", kept, size * passed // total, after={"rows": passed})
