"""The columns of items and users as features: numbers, categories, vectors and positions."""

import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.attribute_config import AttributeConfig
from models.datasets.files.problems import BadRows, Part
from models.datasets.files.tables import Table
from models.datasets.files.values import degrees_of, numbers_of, texts_of
from models.errors import ArtifactError


def read_column(part: Part, column: str, one: AttributeConfig, bad: BadRows) -> tuple[Any, NDArray[np.bool_]]:
    """Return the values of a feature's column, and a mask of the good rows."""
    if one.kind == "number":
        return numbers_of(part, column, bad)
    values = part.data.column(column)
    if one.kind == "vector":
        return values, _good_vectors(part, column, values, bad)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return values.cast(pa.list_(pa.string())), np.ones(len(values), dtype=np.bool_)
    texts = texts_of(part, column, bad)
    if one.separator is not None:
        return pc.split_pattern(texts, one.separator), np.ones(len(texts), dtype=np.bool_)
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(len(texts) + 1), pa.int32()),
        texts,
        mask=texts.is_null() if texts.null_count else None,
    )
    return lists, np.ones(len(texts), dtype=np.bool_)


def _good_vectors(part: Part, column: str, values: pa.Array, bad: BadRows) -> NDArray[np.bool_]:
    kind = values.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list:
        raise ArtifactError(
            f"{part.path}: column {column} must have lists of numbers, got {kind}; name another kind"
        )
    lengths = np.asarray(pc.list_value_length(values).fill_null(0))
    usual = int(np.bincount(lengths).argmax()) if len(lengths) else 0
    wrong = (lengths != usual) | (lengths == 0)
    bad.report(part, wrong, column, f"must have {usual} numbers", "correct the list", values)
    rows = np.repeat(np.arange(len(values)), lengths)
    numbers = np.asarray(pc.list_flatten(values).cast(pa.float64()).fill_null(np.nan), dtype=np.float64)
    not_finite = np.bincount(rows[~np.isfinite(numbers)], minlength=len(values)) > 0
    bad.report(part, not_finite, column, "must have finite numbers", "correct the list", values)
    return np.asarray(~(wrong | not_finite))


def vectors_of(table: Table, column: str, chunks: list[pa.Array]) -> NDArray[np.float32]:
    """Return vectors of all parts, float32 (R, width).

    Raises:
        ArtifactError: their lengths differ.
    """
    blocks = []
    for chunk in chunks:
        numbers = np.asarray(pc.list_flatten(chunk).cast(pa.float32()), dtype=np.float32)
        if len(chunk):
            blocks.append(numbers.reshape(len(chunk), -1))
    widths = sorted({block.shape[1] for block in blocks})
    if len(widths) > 1:
        raise ArtifactError(
            f"{table.location}: column {column} must have lists of one length, got {widths[0]} and {widths[1]}; "
            f"correct the lists"
        )
    return np.concatenate(blocks)


def read_position(
    part: Part, names: tuple[str, str], bad: BadRows
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return latitude and longitude in degrees, float32 (rows, 2), and a mask of the good rows."""
    degrees, _, good = degrees_of(part, names, bad, may_be_empty=False)
    return degrees.astype(np.float32), good


def filled(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
    """Return numbers in which NaN is the median, and the median."""
    known = numbers[np.isfinite(numbers)]
    median = float(np.median(known)) if len(known) else 0.0
    limit = float(np.finfo(np.float32).max)
    filled = np.clip(np.where(np.isfinite(numbers), numbers, median), -limit, limit)
    return filled.astype(np.float32), median


def categories(
    column: str, chunks: list[pa.Array], one: AttributeConfig, bad: BadRows
) -> tuple[NDArray[np.float32], list[str]]:
    """Return float32 (R, slots), and the value of each slot if every value has its own."""
    lists = pa.chunked_array(chunks, pa.list_(pa.string())).combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    lengths = np.asarray(pc.list_value_length(lists).fill_null(0))
    encoded = pc.utf8_trim_whitespace(pc.list_flatten(lists)).dictionary_encode()
    known = encoded.dictionary
    order = np.asarray(pc.sort_indices(known))
    texts = [text for text in known.take(pa.array(order)).to_pylist() if text]
    slot_of = np.full(len(known) + 1, -1)
    if len(texts) <= one.slots:
        filled = np.asarray(pc.greater(pc.binary_length(known), 0))
        slot_of[order[filled[order]]] = np.arange(len(texts))
        width = max(1, len(texts))
    else:
        width = one.slots
        slot_of[:-1] = hashed(known, width)
        slot_of[:-1][np.asarray(pc.equal(pc.binary_length(known), 0))] = -1
        bad.notes.append(f"column {column} has {len(texts):,} values, which are hashed to {width} slots")
        texts = []
    rows = np.repeat(np.arange(len(lists)), lengths)
    slots = slot_of[np.asarray(encoded.indices.fill_null(len(known)))]
    values = np.zeros((len(lists), width), dtype=np.float32)
    values[rows[slots >= 0], slots[slots >= 0]] = 1.0
    return values, texts


def hashed(texts: pa.Array, slots: int) -> NDArray[np.int64]:
    """Return a slot for each text, from the CRC-32 of its UTF-8 bytes. The same text has the same slot everywhere."""
    return np.array([zlib.crc32((text or "").encode()) % slots for text in texts.to_pylist()], dtype=np.int64)
