"""Columns of a part as texts, ids and numbers. Each value that does not fit is reported with its row."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows, Part
from models.errors import ArtifactError

MAX_ID_BYTES = 256
_LARGEST_DEGREES = (90.0, 180.0)


def texts_of(part: Part, column: str, bad: BadRows) -> pa.Array:
    """Return a column as texts. Whole numbers have no decimals.

    Raises:
        ArtifactError: the column has lists or objects, or a text is not UTF-8.
    """
    values = part.data.column(column)
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _decoded(part, column, values, bad)
    if pa.types.is_nested(kind):
        raise ArtifactError(
            f"{part.path}: column {column} must have one value per row, got {kind}; name another column"
        )
    if pa.types.is_floating(kind):
        numbers = np.asarray(values.fill_null(np.nan), dtype=np.float64)
        whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
        integers = pa.array(np.where(whole, numbers, 0).astype(np.int64)).cast(pa.string())
        texts = pc.if_else(pa.array(whole), integers, values.cast(pa.string()))
        return pc.if_else(pa.array(np.isnan(numbers)), pa.scalar(None, pa.string()), texts)
    return values.cast(pa.string())


def _decoded(part: Part, column: str, values: pa.Array, bad: BadRows) -> pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        texts: list[str | None] = []
        wrong = np.zeros(len(values), dtype=np.bool_)
        for row, value in enumerate(values.to_pylist()):
            try:
                texts.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                texts.append(None)
                wrong[row] = True
        bad.report(part, wrong, column, "must be UTF-8", "convert the file to UTF-8", values)
        return pa.array(texts, pa.string())


def ids_of(part: Part, column: str, bad: BadRows) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Return a column as ids without surrounding spaces, and a mask of the good rows."""
    texts = texts_of(part, column, bad)
    trimmed = pc.utf8_trim_whitespace(texts)
    lengths = np.asarray(pc.binary_length(trimmed).fill_null(0))
    empty, long = lengths == 0, lengths > MAX_ID_BYTES
    bad.report(part, empty, column, "must have an id", "fill it in")
    problem = f"must have at most {MAX_ID_BYTES} bytes"
    bad.report(part, long, column, problem, "name another column, or shorten the ids", texts)
    kind = part.data.column(column).type
    inexact = np.zeros(len(empty), dtype=np.bool_)
    if pa.types.is_floating(kind):  # JSON lines have whole numbers of over 64 bits as floats
        numbers = np.asarray(part.data.column(column).fill_null(0), dtype=np.float64)
        inexact = ~np.isnan(numbers) & (np.abs(numbers) >= 2.0**53)
    bad.report(part, inexact, column, "must be text or a whole number below 2^53", "write it as text", texts)
    controls = np.asarray(pc.match_substring_regex(trimmed, r"[\x00-\x1f\x7f]").fill_null(False))
    bad.report(part, controls, column, "must have no control characters", "correct the file", texts)
    return trimmed, ~(empty | long | inexact | controls)


def numbers_of(part: Part, column: str, bad: BadRows) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a column as float64, with NaN for empty values, and a mask of the good rows.

    Decimal commas and thousands separators are no numbers.
    """
    values = part.data.column(column)
    kind = values.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        numbers = np.asarray(values.cast(pa.float64(), safe=False).fill_null(np.nan), dtype=np.float64)
        empty = np.asarray(values.is_null())
    else:
        texts = pc.utf8_trim_whitespace(texts_of(part, column, bad))
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        empty = np.asarray(texts.is_null())
        numbers = parsed_numbers(texts)
    finite = np.isfinite(numbers)
    bad.report(
        part, ~finite & ~empty, column, "must be a finite number", "correct it, or leave it empty", values
    )
    return np.where(finite, numbers, np.nan), finite | empty


def degrees_of(
    part: Part, columns: Sequence[str], bad: BadRows, *, may_be_empty: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two columns as latitude and longitude in degrees, float64 (rows, 2), with 0 for empty values.

    Args:
        part: the rows.
        columns: the columns with latitude and longitude.
        bad: collects the bad rows.
        may_be_empty: whether a row without a position is good.

    Returns:
        The positions, a mask of the rows that have one, and a mask of the good rows.
    """
    both, known = [], np.ones(part.data.num_rows, dtype=np.bool_)
    good = known.copy()
    for column, limit in zip(columns, _LARGEST_DEGREES, strict=True):
        numbers, fits = numbers_of(part, column, bad)
        has = np.isfinite(numbers)
        wrong = (has if may_be_empty else fits) & ~(np.abs(numbers) <= limit)
        problem = f"must be in degrees, at most {limit:g}"
        bad.report(part, wrong, column, problem, "correct it", part.data.column(column))
        known &= has
        good &= fits & ~wrong
        both.append(np.nan_to_num(numbers))
    return np.stack(both, axis=1), known, good


def parsed_numbers(texts: pa.Array) -> NDArray[np.float64]:
    """Return texts as float64, with NaN for texts that are no numbers."""
    try:
        return np.array(texts.cast(pa.float64()).fill_null(np.nan), dtype=np.float64)
    except pa.ArrowInvalid:
        return np.array([_number(text) for text in texts.to_pylist()], dtype=np.float64)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan") if text is None or "_" not in text else float("nan")
    except ValueError:
        return float("nan")
