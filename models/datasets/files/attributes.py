"""Features of items or users from a table with one row per id: numbers, categories, vectors, positions, texts."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.attribute_config import AttributeConfig, AttributesConfig
from models.datasets.files.problems import BadRows, Part
from models.datasets.files.progress import Progress
from models.datasets.files.tables import Table
from models.datasets.files.values import ids_of, numbers_of, texts_of
from models.errors import ArtifactError

POSITION, EMBEDDING = "position", "embedding"


@dataclass(frozen=True)
class Attributes:
    """The features of R ids.

    Attributes:
        location: the table, for messages.
        ids: R ids.
        values: features by name, float32 (R, ...).
        defaults: the value for ids without a row, by feature.
        logs: features of which the model reads the logarithm.
        slots: the values of each category, in the order of its slots. Empty if they are hashed.
        shown: texts by column.
        ordering: numbers that order the ids, (R,), NaN if unknown. None: their order in the table.
    """

    location: str
    ids: pa.Array
    values: Mapping[str, NDArray[np.float32]]
    defaults: Mapping[str, float] = field(default_factory=dict)
    logs: tuple[str, ...] = ()
    slots: Mapping[str, list[str]] = field(default_factory=dict)
    shown: Mapping[str, pa.ChunkedArray] = field(default_factory=dict)
    ordering: NDArray[np.float64] | None = None

    @property
    def position(self) -> str | None:
        """The name of the feature with the position."""
        return POSITION if POSITION in self.values else None

    def columns(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Return the features of some rows. Row -1 has the defaults."""
        taken = {}
        for name, values in self.values.items():
            taken[name] = values[np.maximum(rows, 0)]
            taken[name][rows < 0] = self.defaults.get(name, 0.0)
        return taken

    def texts(self, rows: NDArray[np.int64]) -> dict[str, list[str | None]]:
        """Return the texts of some rows by column. Row -1 has none."""
        indices = pa.array(np.where(rows < 0, 0, rows), mask=rows < 0)
        return {name: column.take(indices).to_pylist() for name, column in self.shown.items()}

    def popularity(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return numbers above 0 up to 1 for some rows: 1 for the most popular id, and 0 for row -1.

        Equal numbers of the column have equal popularity. Rows without a number are the least popular.
        """
        count = len(self.ids)
        order = -np.arange(count, dtype=np.float64) if self.ordering is None else self.ordering
        known = np.unique(np.where(np.isnan(order), -np.inf, order), return_inverse=True)
        popularity = (known[1] + 1) / max(1, len(known[0]))
        return np.where(rows < 0, 0.0, popularity[np.maximum(rows, 0)]).astype(np.float32)


def read_attributes(table: Table, config: AttributesConfig, bad: BadRows, progress: Progress) -> Attributes:
    """Read the features of a table.

    An empty number becomes the median. The first row of an id counts, and further rows are bad.

    Raises:
        ArtifactError: the table cannot be read, a row is bad and bad rows are not skipped, or no row is left.
    """
    columns = {name: one.column or name for name, one in config.features.items()}
    needed = [config.id, *columns.values(), *(config.position or ()), *config.texts]
    if config.popularity is not None:
        needed.append(config.popularity)
    ordering: list[NDArray[np.float64]] = []
    ids: list[pa.Array] = []
    parts: dict[str, list[Any]] = {name: [] for name in (*columns, POSITION)}
    shown: dict[str, list[pa.Array]] = {name: [] for name in config.texts}
    seen: set[str] = set()
    for part in table.parts(needed, bad):
        names, good = ids_of(part, config.id, bad)
        good &= ~_repeated(part, config.id, names, good, seen, bad)
        found: dict[str, Any] = {}
        for name, one in config.features.items():
            found[name], fits = _read(part, columns[name], one, bad)
            good &= fits
        if config.position is not None:
            found[POSITION], fits = _position(part, config.position, bad)
            good &= fits
        if config.popularity is not None:
            numbers, fits = numbers_of(part, config.popularity, bad)
            good &= fits
            ordering.append(numbers[good])
        mask = pa.array(good)
        ids.append(names.filter(mask))
        for name, read in found.items():
            parts[name].append(read.filter(mask) if isinstance(read, pa.Array) else read[good])
        for name in config.texts:
            shown[name].append(texts_of(part, name, bad).filter(mask))
        progress(f"reading {table.location.rsplit('/', 1)[-1]}", part.done, table.bytes)
    if not sum(len(chunk) for chunk in ids):
        raise ArtifactError(f"{table.location}: has no row that can be used; name another file")
    joined = pa.concat_arrays(ids)
    values: dict[str, NDArray[np.float32]] = {}
    defaults: dict[str, float] = {}
    slots: dict[str, list[str]] = {}
    for name, one in config.features.items():
        if one.kind == "number":
            values[name], defaults[name] = _filled(np.concatenate(parts[name]))
        elif one.kind == "vector":
            values[name] = _vectors(table, columns[name], parts[name])
        else:
            values[name], slots[name] = _categories(columns[name], parts[name], one, bad)
    if config.position is not None:
        values[POSITION] = np.concatenate(parts[POSITION])
    texts = {name: pa.chunked_array(chunks, pa.string()) for name, chunks in shown.items()}
    if config.embed is not None and texts:
        from models.datasets.files.embedding import embedded

        values[EMBEDDING] = embedded(config.embed, list(texts.values()), progress)
    logs = tuple(name for name, one in config.features.items() if one.log)
    order = np.concatenate(ordering) if ordering else None
    return Attributes(table.location, joined, values, defaults, logs, slots, texts, order)


def _repeated(
    part: Part, column: str, ids: pa.Array, good: NDArray[np.bool_], seen: set[str], bad: BadRows
) -> NDArray[np.bool_]:
    again = np.zeros(len(ids), dtype=np.bool_)
    for row, one in enumerate(ids.to_pylist()):
        if good[row]:
            again[row] = one in seen
            seen.add(one)
    bad.report(part, again, column, "must have each id once", "remove the row", ids)
    return again


def _read(part: Part, column: str, one: AttributeConfig, bad: BadRows) -> tuple[Any, NDArray[np.bool_]]:
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


def _vectors(table: Table, column: str, chunks: list[pa.Array]) -> NDArray[np.float32]:
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


def _position(
    part: Part, names: tuple[str, str], bad: BadRows
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    both, good = [], np.ones(part.data.num_rows, dtype=np.bool_)
    for name, limit in zip(names, (90.0, 180.0), strict=True):
        numbers, fits = numbers_of(part, name, bad)
        wrong = fits & ~(np.abs(numbers) <= limit)
        bad.report(
            part, wrong, name, f"must be in degrees, at most {limit:g}", "correct it", part.data.column(name)
        )
        good &= fits & ~wrong
        both.append(np.nan_to_num(numbers).astype(np.float32))
    return np.stack(both, axis=1), good


def _filled(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
    """Return numbers in which NaN is the median, and the median."""
    known = numbers[np.isfinite(numbers)]
    median = float(np.median(known)) if len(known) else 0.0
    limit = float(np.finfo(np.float32).max)
    filled = np.clip(np.where(np.isfinite(numbers), numbers, median), -limit, limit)
    return filled.astype(np.float32), median


def _categories(
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
