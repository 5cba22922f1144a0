"""Rows of CSV files. Values stay texts, so that ids keep their zeros and a bad value is found in its row."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
from fsspec.utils import infer_compression

from models.datasets.files.csv_lines import CsvLines
from models.datasets.files.opening import BLOCK_BYTES, Open, expect_columns
from models.datasets.files.problems import BadRows, Part, shown
from models.errors import ArtifactError

_SEPARATORS = ",;\t|"
MAX_HEADER_BYTES = 1024 * 1024
_OTHER_FORMATS = {
    b"PAR1": ("a Parquet file", ".parquet"),
    b"\x1f\x8b": ("compressed with gzip", ".csv.gz"),
    b"BZh": ("compressed with bzip2", ".csv.bz2"),
    b"\xfd7zXZ": ("compressed with xz", ".csv.xz"),
}


def csv_header(opened: Open, path: str) -> list[str]:
    """Return the column names.

    Raises:
        ArtifactError: the first line is no header.
    """
    header = _first_line(opened, path)
    reader = pcsv.read_csv(
        pa.BufferReader((header + "\n").encode()),
        parse_options=pcsv.ParseOptions(delimiter=_separator(header)),
    )
    names = list(reader.column_names)
    if all(name.replace(".", "").replace("-", "").isdigit() for name in names):
        raise ArtifactError(
            f"{path} line 1: must have the column names, got {header[:60]!r}; add a header line"
        )
    return names


def _first_line(opened: Open, path: str) -> str:
    """Return the header line, checked."""
    with opened(path) as file:
        start = file.read(MAX_HEADER_BYTES)
    for magic, (what, suffix) in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise ArtifactError(f"{path}: is {what}; end its name with {suffix}")
    if b"\0" in start:
        line = start[: start.index(b"\0")].count(b"\n") + 1
        raise ArtifactError(
            f"{path} line {line}: must be UTF-8 text, got zero bytes; convert the file to UTF-8"
        )
    lines = start.splitlines()
    first = next((line for line in lines if line.strip(b"\xef\xbb\xbf \t")), b"")
    if not first:
        raise ArtifactError(f"{path}: is empty; write a header and rows")
    if len(start) == MAX_HEADER_BYTES and len(lines) == 1:
        raise ArtifactError(
            f"{path} line 1: the header is longer than {MAX_HEADER_BYTES} bytes; add a header line"
        )
    try:
        header = first.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ArtifactError(f"{path} line 1: the header must be UTF-8; convert the file to UTF-8") from None
    if header.count('"') % 2:
        raise ArtifactError(
            f"{path} line 1: column names must have no newlines, got {shown(header)}; rename them"
        )
    return header


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=header.count)


def csv_parts(
    opened: Open, path: str, wanted: list[str], bad: BadRows, after: Mapping[str, Any]
) -> Iterator[Part]:
    """Yield all rows. Values are bytes, and empty values are missing.

    Earlier rows are split into columns again, because a value may have line ends.
    """
    header = _first_line(opened, path)
    expect_columns(path, wanted, csv_header(opened, path))
    lines = CsvLines(opened, path)
    gaps: list[int] = []
    faults: list[tuple[int, str]] = []

    def refuse(row: Any) -> str:
        """Note a row with another number of columns. An exception in here would be lost."""
        number = int(row.number or 0)
        gaps.append(number)
        faults.append((number, f"expected {row.expected_columns} columns, got {row.actual_columns}"))
        return "skip"

    reported = int(after.get("faults", 0))

    def report() -> None:
        nonlocal reported
        for number, problem in faults[reported:]:
            bad.unreadable(path, f"line {lines(number)}", problem)
        reported = max(reported, len(faults))

    with opened(path) as file:
        reader = pcsv.open_csv(
            file,
            read_options=pcsv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=pcsv.ParseOptions(
                delimiter=_separator(header),
                newlines_in_values=True,
                invalid_row_handler=refuse,
            ),
            convert_options=pcsv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.binary()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )
        first, done = 2, 0
        for number, batch in enumerate(reader, start=1):
            done = file.tell() if infer_compression(path) is None else done + batch.nbytes
            report()
            if number > after.get("batches", 0):
                position = {"batches": number, "faults": reported}
                yield Part(path, first, "line", batch, done, gaps, lines, after=position)
            first += batch.num_rows
        report()
