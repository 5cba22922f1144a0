"""Turns the simulated log into training data: each shown list, with features as they were known at its time."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.impressions import write_impressions
from models.ragged import Column, RaggedBatch, gather_positions
from walks.data.event_tables import Tables, past_of
from walks.data.features import FEATURES, NEXT_EVENT_POSITION
from walks.map.geometry import Projection
from walks.simulation.calendars import NONE_S
from walks.simulation.log import Log
from walks.simulation.utility import Moment
from walks.simulation.visits import Visits

PRIOR_RATINGS = 5.0
"""Weight of the overall mean rating in each route's popularity, as a number of ratings."""


def popularity(log: Log, routes: int, before_s: float) -> NDArray[np.float32]:
    """Return each route's smoothed mean rating (R,), only from ratings before `before_s`."""
    is_past = log.rated.at_s < before_s
    rows, ratings = log.rated.row[is_past], log.rated.rating[is_past]
    mean = float(ratings.mean()) if len(ratings) else 0.5
    number = np.bincount(rows, minlength=routes)
    total = np.bincount(rows, ratings, minlength=routes)
    return ((total + PRIOR_RATINGS * mean) / (number + PRIOR_RATINGS)).astype(np.float32)


def context_columns(moment: Moment, projection: Projection) -> dict[str, Column]:
    """Return the context that a caller would send with each of Q lists.

    If there is no next appointment, its position has the default value, as if the caller had sent no position.
    """
    next_position = projection.to_latlon(moment.next_xy).astype(np.float32)
    next_position[moment.wait_s >= NONE_S] = NEXT_EVENT_POSITION.default_value()
    return {
        "context.position": projection.to_latlon(moment.xy).astype(np.float32),
        "context.now_s": moment.at_s,
        "context.minutes": moment.minutes,
        "context.next_event_minutes": np.minimum(moment.wait_s, NONE_S).astype(np.float32) / np.float32(60.0),
        NEXT_EVENT_POSITION.column: next_position,
    }


def write_split(
    root: Path,
    log: Log,
    visits: Visits,
    tables: Tables,
    lists: NDArray[np.int64],
    profile: NDArray[np.float32],
    keys: NDArray[np.int64],
    projection: Projection,
) -> None:
    """Write these lists from the log, ordered by time, with extra columns for evaluations only.

    The extra columns are files beside the lists:

    - `oracle.npy` (N,): the rating that the simulation expects without noise.
    - `position.npy` (N,): each candidate's position in the shown list.
    - `user.npy` (B,): the user's number.
    - `at_s.npy` (B,): the list's time, epoch seconds.
    """
    lists = lists[np.argsort(visits.at_s[lists], kind="stable")]
    entries, offsets = gather_positions(log.offsets, lists)
    user, at_s = visits.user[lists], visits.at_s[lists]
    batch = RaggedBatch(
        offsets=offsets,
        rows=log.rows[entries],
        requests={
            **context_columns(visits.moment.take(lists), projection),
            "user.profile": profile[user],
            **past_of(tables, user, at_s),
        },
    )
    write_impressions(
        root, batch, log.labels[entries], feature_hash=FEATURES.content_hash, keys=keys[log.rows[entries]]
    )
    extras: dict[str, NDArray[Any]] = {
        "oracle": log.oracle[entries],
        "position": log.position[entries],
        "user": user,
        "at_s": at_s,
    }
    for name, values in extras.items():
        np.save(root / f"{name}.npy", values)
