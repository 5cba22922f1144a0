"""The rows of event files as events, file by file and in segments. Segments that are kept are not read again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.files.ids import Ids
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
class EventRows:
    """E events, without their users and items: float64 (E,), float32 (E,) and float32 (E,)."""

    at_s: NDArray[np.float64]
    value: NDArray[np.float32]
    relevance: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.at_s)


def read_event_rows(
    table: Table,
    config: EventsConfig,
    users: Ids,
    items: Ids,
    bad: BadRows,
    progress: Progress,
    kept: SegmentStore | None = None,
) -> EventRows:
    """Read the events. Their users and items are added to ``users`` and ``items``.

    Args:
        table: the files.
        config: columns and their meaning.
        users: receives the users.
        items: receives the items.
        bad: collects the bad rows.
        progress: receives the bytes that were read.
        kept: the segments that earlier builds have read. New ones are added. None keeps none.

    Raises:
        ArtifactError: a file cannot be read, a row is bad and bad rows are not skipped, or too few events are left.
    """
    if config.time.zone is not None:
        zone_of(config.time.zone)
    if kept is not None:
        kept.clean(table)
    numbers: dict[str, list[NDArray[Any]]] = {"at_s": [], "value": [], "relevance": []}
    done = 0
    for index, size in enumerate(table.sizes):
        for segment in _segments(table.of_file(index), config, bad.skip, kept):
            bad.add(segment.bad)
            users.add_encoded(segment.user)
            items.add_encoded(segment.item)
            for name, values in numbers.items():
                values.append(getattr(segment, name))
            note = f"{kept.files}" if kept is not None and kept.files.reused else ""
            progress("reading the events", done + min(segment.done, size), table.bytes, note)
        done += size
    count = sum(len(times) for times in numbers["at_s"])
    if count < FEWEST_EVENTS:
        raise ArtifactError(
            f"{table.location}: must have at least {FEWEST_EVENTS} events that can be used, got {count}; name another "
            f"file, or correct training.events"
        )
    return EventRows(**{name: np.concatenate(numbers.pop(name)) for name in list(numbers)})


def _segments(file: Table, config: EventsConfig, skip: bool, kept: SegmentStore | None) -> Iterator[Segment]:
    """Yield the segments of one file: first those that are kept, and then those of the rest of the file."""
    number, after = 0, dict[str, Any]()
    while kept is not None:
        segment = kept.load(file.stamps[0], number, skip=skip)
        if segment is None or segment.begin != after:
            break
        if segment.after is None:
            kept.files.reused += 1
            yield segment
            return
        yield segment
        number, after = number + 1, dict(segment.after)
    if kept is not None:
        kept.files.read += 1
        kept.files.resumed += number > 0
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
            yield gathered.segment(bad.taken(), after, part.after, done)
            gathered, after = Gathered(), part.after
    yield gathered.segment(bad.taken(), after, None, done)


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
        kinds = texts_of(part, columns.kind, bad)
        relevance = relevance_of_kinds(kinds, config.kinds, "training.events.kinds", bad)
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


def relevance_of_kinds(
    kinds: pa.Array, relevance: Mapping[str, float], field: str, bad: BadRows
) -> NDArray[np.float32]:
    """Return the relevance by row, NaN for kinds without a relevance, which are counted."""
    encoded = kinds.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    table = np.array([*(relevance.get(name, np.nan) for name in names), np.nan], dtype=np.float32)
    codes = np.asarray(encoded.indices.fill_null(len(names)))
    left_out = np.bincount(codes, minlength=len(table))
    for name, count in zip([*names, "(empty)"], left_out.tolist(), strict=True):
        if count and name not in relevance:
            bad.counts[f"kind {name} is not in {field}"] += count
    return np.asarray(table[codes])
