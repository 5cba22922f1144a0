"""Rows of Parquet files."""

from collections.abc import Iterator

import pyarrow.parquet as pq

from models.datasets.files.opening import Open, expect_columns
from models.datasets.files.problems import BadRows, Part

ROWS = 65_536


def parquet_header(opened: Open, path: str) -> list[str]:
    """Return the column names."""
    with opened(path) as file:
        return list(pq.ParquetFile(file).schema_arrow.names)


def parquet_parts(opened: Open, path: str, wanted: list[str], bad: BadRows) -> Iterator[Part]:
    """Yield all rows, with the types of the file."""
    with opened(path) as source:
        file = pq.ParquetFile(source)
        expect_columns(path, wanted, file.schema_arrow.names)
        first, total = 1, max(1, file.metadata.num_rows)
        size = source.seek(0, 2)
        for batch in file.iter_batches(ROWS, columns=wanted, use_threads=False):
            yield Part(path, first, "row", batch.select(wanted), size * (first + batch.num_rows) // total)
            first += batch.num_rows
