"""Turns the simulated log into training data, each list with what was known at its time."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features.aggregates import as_of
from models.features.events import EventTable
from models.impressions import write_impressions
from models.ragged import Column, RaggedBatch, gather_positions
from walks.features import FEATURES
from walks.geo import Projection
from walks.opinions import Moment
from walks.simulate import Log
from walks.visits import Visits

DAY_S = 86_400.0
PRIOR_RATINGS = 5.0
"""Weight of the overall mean in a route's popularity, in ratings."""


def popularity(log: Log, routes: int, before_s: float) -> NDArray[np.float32]:
    """Smoothed mean rating (R,) of each route, from ratings given before `before_s` only."""
    known = log.event_s < before_s
    rows, ratings = log.event_row[known], log.event_rating[known]
    mean = float(ratings.mean()) if len(ratings) else 0.5
    number = np.bincount(rows, minlength=routes)
    total = np.bincount(rows, ratings, minlength=routes)
    return ((total + PRIOR_RATINGS * mean) / (number + PRIOR_RATINGS)).astype(np.float32)


def rating_events(log: Log, keys: NDArray[np.int64], start_s: float, users: int) -> EventTable:
    """The ratings as events; `keys` (R,) are the item keys of the routes, the period begins at `start_s`."""
    sequence = np.arange(len(log.event_s))
    fields: dict[str, NDArray[Any]] = {"key": keys[log.event_row], "rating": log.event_rating}
    return EventTable.of(log.event_user, start_s + log.event_s, sequence, fields, users)


def histories(events: EventTable, user: NDArray[np.int64], now_s: NDArray[np.float64]) -> dict[str, Column]:
    """What each user (Q,) had rated before the moment (Q,): the newest HISTORY ratings, oldest first."""
    return {
        f.column: as_of(f, events, user, now_s) for f in FEATURES.group("user") if f.aggregate is not None
    }


def context_columns(moment: Moment, projection: Projection) -> dict[str, Column]:
    """The context features of Q lists."""
    return {
        "context.position": projection.to_latlon(moment.xy).astype(np.float32),
        "context.hour": moment.hour,
        "context.weekday": moment.weekday,
        "context.temperature_c": moment.temperature_c,
        "context.rain_mm": moment.rain_mm,
        "context.minutes": moment.minutes,
    }


def write_split(
    root: Path,
    log: Log,
    visits: Visits,
    lists: NDArray[np.int64],
    profile: NDArray[np.float32],
    keys: NDArray[np.int64],
    projection: Projection,
    start_s: float,
) -> None:
    """Write the given lists, in order of time; beside them what only an evaluation may read.

    `oracle.npy` (N,) is the rating the simulation expects without noise, `position.npy` (N,) where in its
    list each candidate was shown, `user.npy` (B,) the user's number, `at_s.npy` (B,) seconds into the period,
    which begins at `start_s`.
    """
    lists = lists[np.argsort(visits.at_s[lists], kind="stable")]
    at, offsets = gather_positions(log.offsets, lists)
    user, at_s = visits.user[lists], visits.at_s[lists]
    now_s = start_s + at_s
    events = rating_events(log, keys, start_s, len(profile))
    batch = RaggedBatch(
        offsets=offsets,
        rows=log.rows[at],
        requests={
            **context_columns(visits.moment.take(lists), projection),
            "user.profile": profile[user],
            "context.now_s": now_s,
            **histories(events, user, now_s),
        },
    )
    write_impressions(
        root, batch, log.labels[at], feature_hash=FEATURES.content_hash, keys=keys[log.rows[at]]
    )
    extras: dict[str, NDArray[Any]] = {
        "oracle": log.oracle[at],
        "position": log.position[at],
        "user": user,
        "at_s": at_s,
    }
    for name, values in extras.items():
        np.save(root / f"{name}.npy", values)
