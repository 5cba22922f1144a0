"""A log with the features of its items and users."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.events import EventLog
from models.datasets.files.attributes import Attributes
from models.datasets.files.problems import BadRows, shown
from models.errors import ArtifactError


def with_attributes(log: EventLog, items: Attributes | None, users: Attributes | None) -> EventLog:
    """Return the log with the features and texts of its items and users."""
    changes: dict[str, Any] = {}
    if items is not None:
        rows = _rows_of(log.item_ids, items)
        changes |= {
            "item_columns": items.columns(rows),
            "logs": items.logs,
            "position": items.position,
            "item_texts": items.texts(rows),
            "slots": items.slots,
            "popularity": items.popularity(rows),
        }
    if users is not None:
        changes["user_columns"] = users.columns(_rows_of(log.user_ids, users))
        changes |= {"user_logs": users.logs, "user_defaults": users.defaults}
    return replace(log, **changes)


def _rows_of(ids: Sequence[str], table: Attributes) -> NDArray[np.int64]:
    """Return the row of each id in the table, -1 for ids that it does not have."""
    found = pc.index_in(pa.array(ids, pa.string()), value_set=table.ids)
    return np.asarray(found.fill_null(-1), dtype=np.int64)


def expect_common(ids: pa.Array, table: Attributes, what: str, bad: BadRows) -> None:
    """Count the ids of the events that the table does not have.

    Raises:
        ArtifactError: the table has none of them.
    """
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
