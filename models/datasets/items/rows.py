"""Read the columns of a catalogue from a table, in parts: each has the name, type and shape that the catalogue has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows, Part
from models.datasets.files.progress import Progress
from models.datasets.files.tables import Table
from models.datasets.files.values import degrees_of, ids_of, numbers_of, texts_of
from models.errors import ArtifactError

_Read = tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]
"""Values, whether each row has a value, and whether each row is good."""


@dataclass(frozen=True)
class ColumnSpec:
    """A column of the catalogue.

    Attributes:
        sources: the columns of the table that it is read from: one, or latitude and longitude.
        shape: the shape of one value.
    """

    name: str
    sources: tuple[str, ...]
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableChoice:
    """What is read from a table.

    Attributes:
        id: the column with the ids.
        columns: the columns of the catalogue that the table has.
        texts: text columns, which the details show.
        details: the column with whole details, JSON objects.
    """

    id: str
    columns: Sequence[ColumnSpec]
    texts: Sequence[str] = ()
    details: str | None = None

    @property
    def sources(self) -> list[str]:
        """The columns of the table that are read."""
        read = [source for column in self.columns for source in column.sources]
        return [self.id, *read, *self.texts, *(() if self.details is None else (self.details,))]


@dataclass(frozen=True)
class ItemRows:
    """Rows of a table.

    Attributes:
        values: (N, ...) by column of the catalogue.
        given: bool (N,) by column: whether the row has a value. Others have zeros.
        texts: texts by column. None: the row has none.
        details: whole details. None: the row has none.
    """

    ids: list[str]
    values: Mapping[str, NDArray[Any]]
    given: Mapping[str, NDArray[np.bool_]]
    texts: Mapping[str, list[str | None]]
    details: list[str | None] | None = None


def item_rows(table: Table, choice: TableChoice, bad: BadRows, progress: Progress) -> Iterator[ItemRows]:
    """Yield the rows of a table in parts of a bounded size. Ids may repeat.

    Raises:
        ArtifactError: the table cannot be read or lacks a column, or a row is bad and bad rows are not skipped.
    """
    for part in table.parts(choice.sources, bad):
        ids, good = ids_of(part, choice.id, bad)
        read: dict[str, _Read] = {}
        for column in choice.columns:
            read[column.name] = _column(part, column, bad)
            good &= read[column.name][2]
        texts = {name: texts_of(part, name, bad) for name in choice.texts}
        details = None if choice.details is None else _details(part, choice.details, bad)
        mask = pa.array(good)
        progress(f"reading {table.location.rsplit('/', 1)[-1]}", part.done, table.bytes)
        yield ItemRows(
            ids=ids.filter(mask).to_pylist(),
            values={name: values[good] for name, (values, _, _) in read.items()},
            given={name: given[good] for name, (_, given, _) in read.items()},
            texts={name: column.filter(mask).to_pylist() for name, column in texts.items()},
            details=None if details is None else details.filter(mask).to_pylist(),
        )


def _column(part: Part, column: ColumnSpec, bad: BadRows) -> _Read:
    if len(column.sources) == 2:
        degrees, given, good = degrees_of(part, column.sources, bad, may_be_empty=True)
        return degrees.astype(column.dtype), given, good
    source = column.sources[0]
    if column.shape:
        return _vectors(part, source, column, bad)
    arrow = part.data.column(source)
    if pa.types.is_list(arrow.type) or pa.types.is_large_list(arrow.type):
        raise ArtifactError(f"{part.path}: column {source} must have one number per row, got {arrow.type}")
    numbers, good = numbers_of(part, source, bad)
    given = np.isfinite(numbers)
    if pa.types.is_integer(arrow.type) and column.dtype.kind in "iu":
        # A float has 53 bits only.
        exact = np.asarray(arrow.fill_null(0))
        limits = np.iinfo(column.dtype)
        fits = (exact >= limits.min) & (exact <= limits.max) | ~given
        bad.report(part, ~fits, source, f"must fit into {column.dtype}", "correct it", arrow)
        return np.where(given & fits, exact, 0).astype(column.dtype), given, good & fits
    fits = _fitting(numbers, column.dtype) | ~given
    bad.report(part, ~fits, source, f"must fit into {column.dtype}", "correct it", arrow)
    return np.where(given & fits, numbers, 0).astype(column.dtype), given, good & fits


def _vectors(part: Part, source: str, column: ColumnSpec, bad: BadRows) -> _Read:
    arrow = part.data.column(source)
    kind, width = arrow.type, int(np.prod(column.shape))
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise ArtifactError(
            f"{part.path}: column {source} must have lists of {width} numbers, got {kind}; name another column"
        )
    given = np.asarray(arrow.is_valid())
    lengths = np.asarray(pc.list_value_length(arrow).fill_null(0))
    wrong = given & (lengths != width)
    bad.report(part, wrong, source, f"must have {width} numbers", "correct the list", arrow)
    usable = given & ~wrong
    try:
        flat = pc.list_flatten(arrow.filter(pa.array(usable))).cast(pa.float64()).fill_null(np.nan)
    except pa.ArrowInvalid as error:
        raise ArtifactError(f"{part.path}: column {source} must have lists of numbers ({error})") from error
    numbers = np.zeros((len(arrow), width))
    numbers[usable] = np.asarray(flat, dtype=np.float64).reshape(-1, width)
    misfit = np.asarray(~_fitting(numbers, column.dtype).all(axis=1))
    bad.report(
        part,
        misfit,
        source,
        f"must have finite numbers that fit into {column.dtype}",
        "correct the list",
        arrow,
    )
    numbers[misfit] = 0
    return numbers.astype(column.dtype).reshape(-1, *column.shape), given, ~(wrong | misfit)


def _details(part: Part, source: str, bad: BadRows) -> pa.Array:
    import msgspec

    texts = texts_of(part, source, bad)
    wrong = np.zeros(len(texts), dtype=np.bool_)
    for row, text in enumerate(texts.to_pylist()):
        if text is not None:
            try:
                wrong[row] = not isinstance(msgspec.json.decode(text), dict)
            except msgspec.DecodeError:
                wrong[row] = True
    bad.report(part, wrong, source, "must be a JSON object", "correct it", texts)
    return pc.if_else(pa.array(wrong), pa.scalar(None, pa.string()), texts)


def _fitting(numbers: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    if dtype.kind in "iu":
        whole = np.floor(numbers) == numbers
        limits = np.iinfo(dtype)
        return np.asarray(
            whole & (numbers >= limits.min) & (numbers <= limits.max) & (np.abs(numbers) <= 2**53)
        )
    return np.asarray(np.abs(numbers) <= float(np.finfo(dtype).max))
