"""Profiles of columns: what a sample of a table's values looks like."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.files.problems import BadRows, Part
from models.datasets.files.tables import Table
from models.datasets.files.time_guesses import SHARE, is_time, spread, times_in
from models.datasets.files.times import ZONED
from models.datasets.files.values import MAX_ID_BYTES, numbers_of, texts_of
from models.datasets.time_format import TimeFormat
from models.errors import ArtifactError

SAMPLE = 200_000
"""Rows of the first file that are sampled."""
_LAST_FILE = 20_000
_SEPARATORS = ("|", ";", ",")


@dataclass(frozen=True)
class Profile:
    """A column, as its sample shows it.

    Attributes:
        type: the Arrow type, or "text" for CSV.
        rows: rows of the sample.
        filled: rows with a value.
        distinct: distinct values.
        texts: the values as texts, or None for vectors and objects.
        numbers: the finite numbers, if the column has numbers.
        is_whole: whether all numbers are whole.
        vector: width of a vector of numbers, or 0.
        is_list: whether each value is a list of texts.
        times: formats that fit all times. Several if day and month cannot be told apart.
        naive: share of times without a time zone.
        words: mean number of words.
        longest: bytes of the longest value, without the longest 2% of the values.
        separator: text between several values in one text.
    """

    name: str
    type: str
    rows: int
    filled: int
    distinct: int
    texts: pa.Array | None = None
    numbers: NDArray[np.float64] | None = None
    is_whole: bool = False
    vector: int = 0
    is_list: bool = False
    times: tuple[TimeFormat, ...] = ()
    naive: float = 0.0
    words: float = 0.0
    longest: int = 0
    separator: str | None = None

    @property
    def is_id(self) -> bool:
        """Whether the values can be ids."""
        can = self.texts is not None and 0 < self.longest <= MAX_ID_BYTES and self.words < 3
        return can and (self.numbers is None or self.is_whole) and "timestamp" not in self.type


def sample_of(table: Table, bad: BadRows) -> pa.Table:
    """Return the first rows of the first file, and some of the last one. All values of CSV are bytes.

    Raises:
        ArtifactError: a file cannot be read, or has no rows.
    """
    columns: dict[str, list[pa.Array]] = {name: [] for name in table.columns}
    ends = [(table.of_file(0), SAMPLE)] + ([(table.of_file(-1), _LAST_FILE)] if len(table.paths) > 1 else [])
    for one, count in ends:
        taken = 0
        for part in one.parts(table.columns, bad):
            rows = part.data.slice(0, count - taken)
            for name, chunks in columns.items():
                chunks.append(rows.column(name))
            taken += rows.num_rows
            if taken >= count:
                break
    if not sum(len(chunk) for chunk in next(iter(columns.values()))):
        raise ArtifactError(f"{table.location}: has no rows; name another file")
    joined = {name: _joined(chunks) for name, chunks in columns.items()}
    for name, values in joined.items():
        if pa.types.is_binary(values.type) and not bad.skip:
            _expect_utf8(table.location, name, values)
    return pa.table(joined)


def _expect_utf8(location: str, name: str, values: pa.Array) -> None:
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        raise ArtifactError(f"{location}: column {name} must be UTF-8; convert the file to UTF-8") from None


def _joined(chunks: list[pa.Array]) -> pa.Array:
    """Join chunks. If their types differ, they become texts."""
    types = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
    if len(types) > 1:
        chunks = [
            pa.array([None if v is None else str(v) for v in chunk.to_pylist()], pa.string())
            for chunk in chunks
        ]
    elif types:
        chunks = [chunk.cast(next(iter(types))) for chunk in chunks]
    return pa.concat_arrays(chunks)


def profile_of(name: str, values: pa.ChunkedArray) -> Profile:
    """Profile one column of a sample."""
    array = values.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    kind, rows = array.type, len(array)
    bad = BadRows(skip=True)
    part = Part("", 1, "row", pa.RecordBatch.from_arrays([array], names=[name]))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _list_profile(name, array)
    if pa.types.is_nested(kind):
        return Profile(name, str(kind), rows, rows - array.null_count, 0)
    texts = texts_of(part, name, bad)
    filled = np.asarray(pc.greater(pc.binary_length(texts), 0).fill_null(False))
    count = int(filled.sum())
    some = texts.filter(pa.array(filled))
    numbers, fits = numbers_of(part, name, bad) if not is_time(kind) else (np.full(rows, np.nan), filled)
    finite = numbers[filled & fits & np.isfinite(numbers)]
    is_number = count > 0 and len(finite) >= SHARE * count
    times = times_in(part, name, array, some, finite if is_number else None)
    naive = 0.0
    if times and not is_number:
        zoned = pc.match_substring_regex(some, ZONED) if not is_time(kind) else pa.array([_has_zone(kind)])
        patterned = times[0].pattern is not None and "%z" not in times[0].pattern
        naive = 1.0 if patterned else 1.0 - float(pc.mean(zoned.cast(pa.float64())).as_py() or 0.0)
    lengths = pc.binary_length(some)
    return Profile(
        name=name,
        type="text" if pa.types.is_binary(kind) else str(kind),
        rows=rows,
        filled=count,
        distinct=int(pc.count_distinct(some).as_py()),
        texts=texts,
        numbers=finite if is_number else None,
        is_whole=bool(is_number and np.all(finite == np.floor(finite))),
        times=times,
        naive=naive,
        words=float(pc.mean(pc.add(pc.count_substring(some, " "), 1)).as_py() or 0.0),
        longest=int(pc.quantile(lengths, SHARE, interpolation="lower")[0].as_py() or 0),
        separator=_separator(some) if not is_number else None,
    )


def _has_zone(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None)


def _list_profile(name: str, array: pa.Array) -> Profile:
    lengths = np.asarray(pc.list_value_length(array).fill_null(0))
    inner = array.type.value_type
    is_number = pa.types.is_floating(inner) or pa.types.is_integer(inner)
    width = int(np.bincount(lengths).argmax()) if len(lengths) and is_number else 0
    filled = len(array) - array.null_count
    distinct = (
        0
        if is_number or pa.types.is_nested(inner)
        else int(pc.count_distinct(pc.list_flatten(array)).as_py())
    )
    return Profile(
        name, str(array.type), len(array), filled, distinct, vector=width, is_list=pa.types.is_string(inner)
    )


def _separator(some: pa.Array) -> str | None:
    """Return the text between several values, if splitting leaves far fewer distinct values."""
    some = spread(some)
    distinct = pc.count_distinct(some).as_py()
    for separator in _SEPARATORS:
        share = pc.mean(pc.match_substring(some, separator).cast(pa.float64())).as_py() or 0.0
        if share < 0.05:
            continue
        inner = pc.list_flatten(pc.split_pattern(some, separator))
        if (
            pc.count_distinct(inner).as_py() * 2 < distinct
            and pc.max(pc.count_substring(inner, " ")).as_py() < 4
        ):
            return separator
    return None
