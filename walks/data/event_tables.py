"""Event tables: simulated users' actions and positions, in the form that feature aggregates read."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.features.aggregates import as_of
from models.features.events import EventTable
from models.ragged import Column
from walks.data.features import FEATURES
from walks.map.geometry import Projection
from walks.simulation.log import Events, Log
from walks.simulation.visits import Visits

Tables = Mapping[str, EventTable]
"""Tables by event type. walks/data/features.py lists the types."""


def tables_of(
    log: Log, visits: Visits, keys: NDArray[np.int64], projection: Projection, users: int
) -> Tables:
    """Return all users' events. `keys` (R,) are the routes' item keys."""

    def table(events: Events, **fields: NDArray[np.float32]) -> EventTable:
        sequence = np.arange(len(events), dtype=np.int64)
        return EventTable.from_columns(
            events.user, events.at_s, sequence, {"key": keys[events.row], **fields}, users
        )

    fixes = visits.fix_s.size
    position = projection.to_latlon(visits.fix_xy.reshape(-1, 2)).astype(np.float32)
    return {
        "rating": table(log.rated, rating=log.rated.rating),
        "open": table(log.opened),
        "shown": table(log.shown),
        "position": EventTable.from_columns(
            np.repeat(visits.user, visits.fix_s.shape[1]),
            visits.fix_s.ravel(),
            np.arange(fixes, dtype=np.int64),
            {"position": position},
            users,
        ),
    }


def past_of(tables: Tables, user: NDArray[np.int64], at_s: NDArray[np.float64]) -> dict[str, Column]:
    """Return each user's aggregates as of a moment.

    Args:
        tables: events by type.
        user: (Q,) user numbers.
        at_s: (Q,) moments, epoch seconds.

    Returns:
        All aggregates, as columns "user.<name>" and "realtime.<name>".
    """
    features = (*FEATURES.supplied("user"), *FEATURES.supplied("realtime"))
    return {
        feature.column: as_of(feature, tables[feature.aggregate.event], user, at_s)
        for feature in features
        if feature.aggregate is not None
    }
