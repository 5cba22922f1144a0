"""Rows of JSON lines. Arrow parses a block of lines. If it cannot, each line is looked at."""

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

import pyarrow as pa
import pyarrow.json as pjson

from models.datasets.files.opening import BLOCK_BYTES, SNIFFED_BYTES, Open, expect_columns
from models.datasets.files.problems import BadRows, Part
from models.errors import ArtifactError


def json_header(opened: Open, path: str) -> list[str]:
    """Return the names in the first lines.

    Raises:
        ArtifactError: the first line is no JSON object.
    """
    with opened(path) as file:
        start = file.read(SNIFFED_BYTES)
    first = next((line for line in start.splitlines() if line.strip()), b"")
    if not first:
        raise ArtifactError(f"{path}: is empty; write one JSON object per line")
    if first.lstrip().startswith(b"["):
        raise ArtifactError(f"{path} line 1: must be a JSON object, got an array; write one object per line")
    names: dict[str, None] = {}
    for number, line in enumerate(start.splitlines()[:100], start=1):
        try:
            names |= dict.fromkeys(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            if number == 1:
                raise ArtifactError(
                    f"{path} line 1: is no JSON object ({error}); write one object per line"
                ) from None
    return list(names)


def json_parts(
    opened: Open, path: str, wanted: list[str], bad: BadRows, after: Mapping[str, Any]
) -> Iterator[Part]:
    """Yield all rows. A column whose type changes in a block has texts there."""
    seen = {name: name in after.get("seen", ()) for name in wanted}
    texts = set[str](after.get("texts", ()))
    first, done, begun = int(after.get("line", 1)), int(after.get("bytes", 0)), int(after.get("read", 0))
    with opened(path) as file:
        if done:
            file.seek(done)
        for block, read in _blocks(file, path, done, begun):
            lines = block.count(b"\n") + (not block.endswith(b"\n"))
            batch, gaps = _json_block(block, path, first, wanted, texts, bad)
            done += len(block)
            for name in wanted:
                seen[name] |= batch.column(name).null_count < batch.num_rows
            position = {
                "line": first + lines,
                "bytes": done,
                "read": read,
                "seen": [name for name in wanted if seen[name]],
                "texts": sorted(texts),
            }
            yield Part(path, first, "line", batch, done, gaps, after=position)
            first += lines
    missing = [name for name in wanted if not seen[name]]
    if missing and first > 1:
        expect_columns(path, missing, json_header(opened, path))


def _blocks(file: IO[bytes], path: str, done: int, read: int) -> Iterator[tuple[bytes, int]]:
    """Yield blocks of whole lines, and the number of bytes that were read from the file until then.

    Args:
        file: the file, after ``done`` bytes.
        path: its name, for messages.
        done: bytes of the lines that an earlier reader has yielded.
        read: bytes that the earlier reader had read until then. So the next blocks are those of the earlier reader.
    """
    rest = file.read(read - done)
    while chunk := file.read(BLOCK_BYTES):
        read += len(chunk)
        whole, newline, tail = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole + newline, read
        elif len(tail) > 8 * BLOCK_BYTES:
            raise ArtifactError(
                f"{path}: a line is longer than {8 * BLOCK_BYTES} bytes; write one object per line"
            )
        rest = tail
    if rest.strip():
        yield rest, read


def _json_block(
    block: bytes, path: str, first: int, wanted: list[str], texts: set[str], bad: BadRows
) -> tuple[pa.RecordBatch, list[int]]:
    """Parse a block of lines.

    Args:
        block: whole lines.
        path: the file, for messages.
        first: the number of the first line.
        wanted: the columns.
        texts: columns to keep as texts. Arrow would read texts with times as times, and lose their zones.
        bad: collects bad rows.

    Returns:
        The rows, and the numbers of the lines that are no rows.
    """
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    try:
        table = _arrow_table(block, texts)
        timed = {
            n for n in wanted if n in table.column_names and pa.types.is_temporal(table.schema.field(n).type)
        }
        if timed:
            texts |= timed
            table = _arrow_table(block, texts)
        if table.num_rows == lines:
            found = [
                table.column(name).combine_chunks() if name in table.column_names else pa.nulls(lines)
                for name in wanted
            ]
            columns = [c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for c in found]
            return pa.RecordBatch.from_arrays(columns, names=wanted), []
    except pa.ArrowException:
        pass  # a line is bad or a type changes: look at each line
    return _json_lines(block, path, first, wanted, bad)


def _arrow_table(block: bytes, texts: set[str]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in sorted(texts)]) if texts else None
    return pjson.read_json(
        pa.BufferReader(block),
        read_options=pjson.ReadOptions(use_threads=False, block_size=max(len(block) + 1, 1024)),
        parse_options=pjson.ParseOptions(explicit_schema=schema),
    )


def _json_lines(
    block: bytes, path: str, first: int, wanted: list[str], bad: BadRows
) -> tuple[pa.RecordBatch, list[int]]:
    rows: list[dict[str, Any]] = []
    gaps: list[int] = []
    for number, line in enumerate(block.splitlines(), start=first):
        try:
            row = json.loads(line) if line.strip() else None
            if row is not None and not isinstance(row, dict):
                raise ValueError("it is another value")
            if b"\\u" in line:
                json.dumps(row, ensure_ascii=False).encode()  # a lone surrogate cannot be encoded
        except (ValueError, RecursionError) as error:
            bad.unreadable(path, f"line {number}", f"is no JSON object ({error})")
            row = None
        if row is None:
            gaps.append(number)
        else:
            rows.append(row)
    columns = [_column_of([row.get(name) for row in rows]) for name in wanted]
    return pa.RecordBatch.from_arrays(columns, names=wanted), gaps


def _column_of(values: list[Any]) -> pa.Array:
    """Return JSON values as an array. If their types differ, they become texts."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values])
