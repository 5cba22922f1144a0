"""A user's files as an event log, in bounded memory: ids are dictionary-encoded, and no event is a Python object."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.events import EventLog
from models.datasets.files.attributes import read_attributes
from models.datasets.files.described import expect_common, with_attributes
from models.datasets.files.event_rows import EventRows, read_event_rows
from models.datasets.files.ids import Ids, together
from models.datasets.files.problems import BadRows
from models.datasets.files.progress import Progress, silent
from models.datasets.files.segment_store import SegmentStore
from models.datasets.files.shown_join import lists_of_rows
from models.datasets.files.shown_rows import read_shown_rows
from models.datasets.files.tables import Table, open_table


@dataclass(frozen=True)
class Files:
    """The opened tables of an event log.

    Attributes:
        identity: a text that changes if a file changes.
    """

    events: Table | None = None
    impressions: Table | None = None
    items: Table | None = None
    users: Table | None = None

    @property
    def identity(self) -> str:
        """Names, sizes and times of all files."""
        return " ".join(table.identity for table in vars(self).values() if table is not None)


def open_files(config: EventsConfig) -> Files:
    """Open the tables.

    Raises:
        ArtifactError: a table cannot be opened.
    """
    assert config.files is not None
    places = config.files.model_dump(exclude_none=True)
    return Files(**{name: open_table(place) for name, place in places.items()})


def read_files(
    config: EventsConfig,
    bad: BadRows,
    progress: Progress = silent,
    files: Files | None = None,
    kept: SegmentStore | None = None,
) -> EventLog:
    """Read events, impressions, items and users.

    Events with the same user, item and time are one event (``config.merge``). Without a file of events, the shown items
    with a relevance above 0 are the events. Items without events are in the log too. Users without events are not,
    unless there are no events at all.

    Args:
        config: files and columns.
        bad: collects the bad rows.
        progress: receives the bytes that were read.
        files: the opened tables, if they are already open.
        kept: the segments of events that earlier builds have read. None keeps none.

    Raises:
        ArtifactError: a file cannot be read, a row is bad and bad rows are not skipped, or too few events are left.
    """
    files = files or open_files(config)
    user_ids, item_ids = Ids(), Ids()
    events = EventRows(np.empty(0), np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32))
    shown = None
    if files.events is not None:
        events = read_event_rows(files.events, config, user_ids, item_ids, bad, progress, kept)
    elif kept is not None:
        kept.clean(None)
    if files.impressions is not None and config.impressions is not None:
        shown = read_shown_rows(files.impressions, config.impressions, user_ids, item_ids, bad, progress)
    items = users = None
    if files.items is not None and config.items is not None:
        vectors = None if kept is None else kept.vectors
        items = read_attributes(files.items, config.items, bad, progress, vectors)
        if vectors is not None and config.items.embed is None:
            vectors.clear()
    if files.users is not None and config.users is not None:
        users = read_attributes(files.users, config.users, bad, progress)
    known_users, user = user_ids.numbered()
    known_items, item = item_ids.numbered()
    if items is not None:
        if config.has_lists:
            expect_common(known_items, items, "items", bad)
        known_items, number = together(known_items, items.ids)
        item = number[item]
    if users is not None:
        if config.has_lists:
            expect_common(known_users, users, "users", bad)
        else:
            known_users = users.ids
    log = EventLog(
        name=config.name.rstrip("/").rsplit("/", 1)[-1],
        user=np.empty(0, dtype=np.int64),
        item=np.empty(0, dtype=np.int64),
        at_s=np.empty(0),
        value=np.empty(0, dtype=np.float32),
        item_ids=known_items.to_pylist(),
        user_ids=known_users.to_pylist(),
    )
    choices = _Choices(user[: len(events)], item[: len(events)], events)
    if shown is not None:
        lists, good = lists_of_rows(shown, user[len(events) :], item[len(events) :], bad)
        log = replace(log, shown=lists)
        if files.events is None:
            chosen = np.flatnonzero(good & (shown.relevance > 0))
            rows = EventRows(shown.at_s[chosen], shown.relevance[chosen], shown.relevance[chosen])
            choices = _Choices(user[chosen], item[chosen], rows)
    if len(choices.rows):
        log = _log_of(config, log, choices, bad)
    return with_attributes(log, items, users)


@dataclass(frozen=True)
class _Choices:
    """Events with the numbers of their users and items."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rows: EventRows


def _log_of(config: EventsConfig, log: EventLog, choices: _Choices, bad: BadRows) -> EventLog:
    """Return the log with the choices, sorted and merged."""
    rows = choices.rows
    order, starts = _merged(choices)
    first = order[starts]
    last = order[np.append(starts[1:], len(order)) - 1]
    merged = len(order) - len(starts)
    if merged:
        bad.notes.append(
            f"{merged:,} events are in the files again with the same user, item and time; they are merged"
        )
    value = (
        np.add.reduceat(rows.value[order], starts, dtype=np.float32)
        if config.merge == "sum"
        else rows.value[last]
    )
    has_relevance = config.kinds or log.shown is not None
    user, item = (numbers[first].astype(np.int64) for numbers in (choices.user, choices.item))
    return replace(
        log,
        user=user,
        item=item,
        at_s=rows.at_s[first],
        value=value,
        relevance=np.maximum.reduceat(rows.relevance[order], starts) if has_relevance else None,
        repeats=_repeats(user, item, len(log.item_ids)),
    )


def _merged(events: _Choices) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order by user, time and item, and where in it each distinct event begins."""
    order = np.lexsort((events.item, events.rows.at_s, events.user))
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = False
    for column in (events.user, events.rows.at_s, events.item):
        is_new[1:] |= np.diff(column[order]) != 0
    return order, np.flatnonzero(is_new)


def _repeats(user: NDArray[np.int64], item: NDArray[np.int64], items: int) -> bool:
    pairs = np.sort(user * items + item)
    return bool((pairs[1:] == pairs[:-1]).any())
