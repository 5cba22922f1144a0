"""The rows of event files as events, file by file and in segments. Segments that are kept are not read again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.files.problems import BadRows, Part
from models.datasets.files.progress import Progress
from models.datasets.files.segment_store import SegmentStore
from models.datasets.files.segments import Gathered, Segment
from models.datasets.files.tables import Table
from models.datasets.files.times import times_of, zone_of
from models.datasets.files.values import ids_of, numbers_of, texts_of
from models.errors import ArtifactError

FEWEST_EVENTS = 10
SEGMENT_ROWS = 524_288
"""A segment ends after the part of the file with this row. A build that is killed reads at most these rows again."""


@dataclass(frozen=True)
class Events:
    """E events in the order of the files, with users and items numbered in the order of their ids.

    Attributes:
        users: U ids.
        items: I ids.
        user: int32 (E,).
        item: int32 (E,).
        at_s: float64 (E,), epoch seconds.
        value: float32 (E,).
        relevance: float32 (E,).
    """

    users: pa.Array
    items: pa.Array
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    at_s: NDArray[np.float64]
    value: NDArray[np.float32]
    relevance: NDArray[np.float32]


@dataclass
class FilesRead:
    """How many files of events were read.

    Attributes:
        reused: files whose segments were all kept.
        read: other files.
        resumed: those of ``read`` whose first segments were kept.
    """

    reused: int = 0
    read: int = 0
    resumed: int = 0

    def __str__(self) -> str:
        """Return the counts, such as "3 files reused, 1 read"."""
        resumed = f" ({self.resumed:,} from where the last build stopped)" if self.resumed else ""
        return f"{self.reused:,} file{'s' * (self.reused != 1)} reused, {self.read:,} read{resumed}"


def read_event_rows(
    table: Table,
    config: EventsConfig,
    bad: BadRows,
    progress: Progress,
    kept: SegmentStore | None,
    files: FilesRead,
) -> Events:
    """Read all events.

    Args:
        table: the files.
        config: columns and their meaning.
        bad: collects the bad rows.
        progress: receives the bytes that were read.
        kept: the segments that earlier builds have read. New ones are added. None keeps none.
        files: counts the files.

    Raises:
        ArtifactError: a file cannot be read, a row is bad and bad rows are not skipped, or too few events are left.
    """
    if config.time.zone is not None:
        zone_of(config.time.zone)
    if kept is not None:
        kept.clean(table)
    columns: dict[str, list[Any]] = {name: [] for name in ("user", "item", "at_s", "value", "relevance")}
    done = count = 0
    for index, size in enumerate(table.sizes):
        for segment in _segments(table.of_file(index), config, bad.skip, kept, files):
            bad.add(segment.bad)
            for name, values in columns.items():
                values.append(getattr(segment, name))
            count += len(segment)
            note = f"{files.reused:,} of {len(table.paths):,} files reused" if files.reused else ""
            progress("reading the events", done + min(segment.done, size), table.bytes, note)
        done += size
    if count < FEWEST_EVENTS:
        raise ArtifactError(
            f"{table.location}: must have at least {FEWEST_EVENTS} events that can be used, got {count}; name another "
            f"file, or correct training.events"
        )
    users, user = _numbered(columns.pop("user"))
    items, item = _numbered(columns.pop("item"))
    return Events(
        users, items, user, item, **{name: np.concatenate(columns.pop(name)) for name in list(columns)}
    )


def _segments(
    file: Table, config: EventsConfig, skip: bool, kept: SegmentStore | None, files: FilesRead
) -> Iterator[Segment]:
    """Yield the segments of one file: first those that are kept, and then those of the rest of the file."""
    number, after = 0, dict[str, Any]()
    while kept is not None and (segment := kept.load(file.stamps[0], number, skip=skip)) is not None:
        if segment.after is None:
            files.reused += 1
            yield segment
            return
        yield segment
        number, after = number + 1, dict(segment.after)
    files.read += 1
    files.resumed += number > 0
    for segment in _read(file, config, skip, after):
        if kept is not None:
            kept.save(file.stamps[0], number, segment)
        yield segment
        number += 1


def _read(file: Table, config: EventsConfig, skip: bool, after: Mapping[str, Any]) -> Iterator[Segment]:
    """Read one file from a position on."""
    assert config.columns is not None
    needed = [name for name in vars(config.columns).values() if name is not None]
    bad, gathered, done = BadRows(skip=skip), Gathered(), 0
    for part in file.parts(needed, bad, after):
        _add(gathered, part, config, bad)
        done = part.done
        if len(gathered) >= SEGMENT_ROWS:
            yield gathered.segment(bad.taken(), part.after, done)
            gathered = Gathered()
    yield gathered.segment(bad.taken(), None, done)


def _add(gathered: Gathered, part: Part, config: EventsConfig, bad: BadRows) -> None:
    """Add the good rows of a part."""
    columns = config.columns
    assert columns is not None
    user, good = ids_of(part, columns.user, bad)
    item, fits = ids_of(part, columns.item, bad)
    good &= fits
    at_s, fits = times_of(part, columns.time, config.time, bad)
    good &= fits
    relevance = np.ones(len(at_s), dtype=np.float32)
    if columns.kind is not None and config.kinds:
        relevance = _relevance(texts_of(part, columns.kind, bad), config, bad)
        good &= ~np.isnan(relevance)
    value = relevance.astype(np.float64)
    if columns.value is not None:
        value, fits = numbers_of(part, columns.value, bad)
        value, good = np.nan_to_num(value, nan=0.0), good & fits
    mask = pa.array(good)
    gathered.add(
        user.filter(mask),
        item.filter(mask),
        at_s=at_s[good],
        value=value[good].astype(np.float32),
        relevance=relevance[good],
    )


def _relevance(kinds: pa.Array, config: EventsConfig, bad: BadRows) -> NDArray[np.float32]:
    """Return the relevance by event, NaN for kinds that the configuration does not name."""
    encoded = kinds.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    table = np.array([*(config.kinds.get(name, np.nan) for name in names), np.nan], dtype=np.float32)
    codes = np.asarray(encoded.indices.fill_null(len(names)))
    left_out = np.bincount(codes, minlength=len(table))
    for name, count in zip([*names, "(empty)"], left_out.tolist(), strict=True):
        if count and name not in config.kinds:
            bad.counts[f"kind {name} is not in training.events.kinds"] += count
    return np.asarray(table[codes])


def _numbered(segments: list[pa.DictionaryArray]) -> tuple[pa.Array, NDArray[np.int32]]:
    """Return the distinct ids in order, and the number of each event's id. The segments are released."""
    whole = pa.chunked_array(segments, type=pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
    segments.clear()
    known = whole.chunk(0).dictionary
    order = np.asarray(pc.sort_indices(known))
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    codes = np.concatenate([np.asarray(chunk.indices) for chunk in whole.chunks])
    return known.take(pa.array(order)), rank[codes]
