"""A user's files as an event log, in bounded memory: ids are dictionary-encoded, and no event is a Python object."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.config import EventsConfig
from models.datasets.events import EventLog
from models.datasets.files.attributes import Attributes, read_attributes
from models.datasets.files.event_rows import read_event_rows
from models.datasets.files.ids import Ids, together
from models.datasets.files.problems import BadRows, shown
from models.datasets.files.progress import Progress, silent
from models.datasets.files.segment_store import SegmentStore
from models.datasets.files.tables import Table, open_table
from models.errors import ArtifactError


@dataclass(frozen=True)
class Files:
    """The opened tables of an event log.

    Attributes:
        identity: a text that changes if a file changes.
    """

    events: Table
    items: Table | None
    users: Table | None

    @property
    def identity(self) -> str:
        """Names, sizes and times of all files."""
        return " ".join(
            table.identity for table in (self.events, self.items, self.users) if table is not None
        )


def open_files(config: EventsConfig) -> Files:
    """Open the tables.

    Raises:
        ArtifactError: a table cannot be opened.
    """
    assert config.files is not None
    others = (config.files.items, config.files.users)
    return Files(open_table(config.files.events), *(None if o is None else open_table(o) for o in others))


def read_files(
    config: EventsConfig,
    bad: BadRows,
    progress: Progress = silent,
    files: Files | None = None,
    kept: SegmentStore | None = None,
) -> EventLog:
    """Read events, items and users.

    Events with the same user, item and time are one event (``config.merge``). Items without events are in the log too,
    users without events are not.

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
    events = read_event_rows(files.events, config, user_ids, item_ids, bad, progress, kept)
    items = users = None
    if files.items is not None and config.items is not None:
        vectors = None if kept is None else kept.vectors
        items = read_attributes(files.items, config.items, bad, progress, vectors)
        if vectors is not None and config.items.embed is None:
            vectors.clear()
    if files.users is not None and config.users is not None:
        users = read_attributes(files.users, config.users, bad, progress)
    users_known, user = user_ids.numbered()
    items_known, item = item_ids.numbered()
    return _log_of(config, _Events(users_known, items_known, user, item, **vars(events)), items, users, bad)


@dataclass(frozen=True)
class _Events:
    users: pa.Array
    items: pa.Array
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    at_s: NDArray[np.float64]
    value: NDArray[np.float32]
    relevance: NDArray[np.float32]


def _log_of(
    config: EventsConfig, events: _Events, items: Attributes | None, users: Attributes | None, bad: BadRows
) -> EventLog:
    order, starts = _merged(events)
    first = order[starts]
    last = order[np.append(starts[1:], len(order)) - 1]
    merged = len(order) - len(starts)
    if merged:
        bad.notes.append(
            f"{merged:,} events are in the files again with the same user, item and time; they are merged"
        )
    value = (
        np.add.reduceat(events.value[order], starts, dtype=np.float32)
        if config.merge == "sum"
        else events.value[last]
    )
    item_ids, item = events.items, events.item[first].astype(np.int64)
    if items is not None:
        _expect_common(events.items, items, "items", bad)
        item_ids, number = together(events.items, items.ids)
        item = number[item].astype(np.int64)
    user = events.user[first].astype(np.int64)
    log = EventLog(
        name=config.name.rstrip("/").rsplit("/", 1)[-1],
        user=user,
        item=item,
        at_s=events.at_s[first],
        value=value,
        item_ids=item_ids.to_pylist(),
        relevance=np.maximum.reduceat(events.relevance[order], starts) if config.kinds else None,
        user_ids=events.users.to_pylist(),
        repeats=_repeats(user, item, len(item_ids)),
    )
    if users is not None:
        _expect_common(events.users, users, "users", bad)
    return _with_attributes(log, items, users)


def _merged(events: _Events) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order by user, time and item, and where in it each distinct event begins."""
    order = np.lexsort((events.item, events.at_s, events.user))
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = False
    for column in (events.user, events.at_s, events.item):
        is_new[1:] |= np.diff(column[order]) != 0
    return order, np.flatnonzero(is_new)


def _repeats(user: NDArray[np.int64], item: NDArray[np.int64], items: int) -> bool:
    pairs = np.sort(user * items + item)
    return bool((pairs[1:] == pairs[:-1]).any())


def _with_attributes(log: EventLog, items: Attributes | None, users: Attributes | None) -> EventLog:
    changes: dict[str, Any] = {}
    if items is not None:
        rows = _rows_of(log.item_ids, items)
        changes |= {
            "item_columns": items.columns(rows),
            "logs": items.logs,
            "position": items.position,
            "item_texts": items.texts(rows),
            "slots": items.slots,
        }
    if users is not None:
        changes["user_columns"] = users.columns(_rows_of(log.user_ids, users))
        changes |= {"user_logs": users.logs, "user_defaults": users.defaults}
    return replace(log, **changes)


def _rows_of(ids: Sequence[str], table: Attributes) -> NDArray[np.int64]:
    """Return the row of each id in the table, -1 for ids that it does not have."""
    found = pc.index_in(pa.array(ids, pa.string()), value_set=table.ids)
    return np.asarray(found.fill_null(-1), dtype=np.int64)


def _expect_common(ids: pa.Array, table: Attributes, what: str, bad: BadRows) -> None:
    """Count the ids of the events that the table does not have, and refuse a table that has none of them."""
    missing = len(ids) - int(pc.sum(pc.is_in(ids, value_set=table.ids)).as_py() or 0)
    if missing == len(ids):
        raise ArtifactError(
            f"{table.location}: must have the ids of the events, got no id in common, such as "
            f"{shown(table.ids[0])} here and {shown(ids[0])} there; name another id column"
        )
    if missing:
        bad.notes.append(
            f"{missing:,} of {len(ids):,} {what} with events are not in {table.location}; they get default features"
        )
