"""SIMULATED behaviour: the lists that were shown, what was opened and walked, and the ratings given.

Lists come from a logging policy (near, fairly charming, at random); people look at a list from the top
(position bias), open some of what they look at, walk at most one route, and rate it and some of those opened.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.ragged import gather_positions, offsets_of
from walks.opinions import RATING_NOISE, TIRED, Moment, RouteTruth, sigmoid, utility
from walks.people import People
from walks.presets import WorldConfig
from walks.visits import Visits

OPENED = 0.25
"""Relevance of a route opened and not walked; one walked has 0.5 to 1, by its rating; else 0."""

POOL = 400  # how many of the nearest routes a list is drawn from
NEAR_CELL_M = 50.0
EXAMINE_DECAY = 0.5  # chance to look at position p: (1 + p) ** -EXAMINE_DECAY
CHOICE_NOISE = 0.5
RATES_OPENED = 0.35
NOT_TODAY = -1.0  # nothing above this utility: no walk
REMEMBERED = 6  # walks lately that a person tires of


@dataclass(frozen=True)
class Log:
    """Q shown lists laid end to end (N candidates), and the ratings given (M events, by user, then time)."""

    offsets: NDArray[np.int64]  # (Q + 1,)
    rows: NDArray[np.int64]  # (N,) route numbers, ascending within a list: order tells nothing
    labels: NDArray[np.float32]  # (N,) relevance 0 to 1
    position: NDArray[np.int16]  # (N,) where in the list it was shown
    oracle: NDArray[np.float32]  # (N,) rating expected by the simulation, without noise
    event_user: NDArray[np.int64]  # (M,)
    event_s: NDArray[np.float64]  # (M,)
    event_row: NDArray[np.int64]  # (M,)
    event_rating: NDArray[np.float32]  # (M,)


@dataclass(frozen=True)
class _Round:
    visit: NDArray[np.int64]
    count: NDArray[np.int64]
    rows: NDArray[np.int64]
    labels: NDArray[np.float32]
    position: NDArray[np.int16]
    oracle: NDArray[np.float32]
    events: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float32]]


def simulate(
    people: People, truth: RouteTruth, visits: Visits, config: WorldConfig, rng: np.random.Generator
) -> Log:
    """Play all visits: the first of every user, then the second of every user, and so on."""
    first = np.searchsorted(visits.user, visits.user)
    turn = np.arange(len(visits.user)) - first
    pools = _pools(truth, visits.moment.xy)
    lately = np.full((len(people), REMEMBERED), -1, dtype=np.int64)
    rounds = [
        _play(people, truth, visits, np.flatnonzero(turn == number), pools, lately, config, rng)
        for number in range(int(turn.max()) + 1)
    ]
    return _in_order(rounds, len(visits.user))


def _pools(truth: RouteTruth, xy: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest routes of each 50 m cell, (cells, POOL), and each visit's cell."""
    cells, cell = np.unique(np.floor(xy / NEAR_CELL_M), axis=0, return_inverse=True)
    size = min(POOL, len(truth.start))
    _, nearest = cKDTree(truth.start).query((cells + 0.5) * NEAR_CELL_M, k=size)
    return np.asarray(nearest, dtype=np.int64).reshape(len(cells), size), cell.ravel()


def _play(
    people: People,
    truth: RouteTruth,
    visits: Visits,
    visit: NDArray[np.int64],
    pools: tuple[NDArray[np.int64], NDArray[np.int64]],
    lately: NDArray[np.int64],
    config: WorldConfig,
    rng: np.random.Generator,
) -> _Round:
    who, moment = visits.user[visit], visits.moment.take(visit)
    pool = pools[0][pools[1][visit]]
    longest = min(config.max_list, pool.shape[1])
    count = rng.integers(min(config.min_list, longest), longest + 1, len(visit))
    rows = _shown(truth, moment, pool, longest, rng)
    shown = np.arange(longest) < count[:, None]
    expected = utility(people, truth, who, moment, rows)
    expected -= TIRED * (rows[:, :, None] == lately[who][:, None, :]).any(axis=2)
    felt = expected + rng.normal(0.0, CHOICE_NOISE, rows.shape).astype(np.float32)
    looked = shown & (rng.random(rows.shape) < (1.0 + np.arange(longest)) ** -EXAMINE_DECAY)
    opened = looked & (rng.random(rows.shape) < sigmoid(1.5 * felt - 0.5))
    best = np.where(opened, felt, -np.inf).argmax(axis=1)
    line = np.arange(len(visit))
    walked = opened[line, best] & (felt[line, best] > NOT_TODAY)
    rating = sigmoid(expected + rng.normal(0.0, RATING_NOISE, rows.shape).astype(np.float32))
    labels = np.where(opened, np.float32(OPENED), np.float32(0.0))
    labels[line[walked], best[walked]] = 0.5 + 0.5 * rating[line[walked], best[walked]]
    walkers = who[walked]
    lately[walkers] = np.column_stack([rows[line[walked], best[walked]], lately[walkers, :-1]])
    is_walk = np.zeros(rows.shape, dtype=np.bool_)
    is_walk[line[walked], best[walked]] = True
    rated = is_walk | (opened & (rng.random(rows.shape) < RATES_OPENED))
    at, column = np.nonzero(rated)
    after = np.where(
        is_walk[at, column], 60.0 * moment.minutes[at], 1.0 + column
    )  # a walk is rated when it ends
    order = np.argsort(np.where(shown, rows, np.iinfo(np.int64).max), axis=1)
    keep = np.take_along_axis(shown, order, axis=1)

    def flat(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.take_along_axis(values, order, axis=1)[keep])

    return _Round(
        visit=visit,
        count=count,
        rows=flat(rows),
        labels=flat(labels.astype(np.float32)),
        position=flat(np.broadcast_to(np.arange(longest, dtype=np.int16), rows.shape)),
        oracle=flat(sigmoid(expected)),
        events=(who[at], visits.at_s[visit][at] + after, rows[at, column], rating[at, column]),
    )


def _shown(
    truth: RouteTruth, moment: Moment, pool: NDArray[np.int64], longest: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The logging policy's lists (Q, longest), best first: near and charming, a Plackett-Luce draw."""
    away_km = np.hypot(*np.moveaxis(truth.start[pool] - moment.xy[:, None], 2, 0)) / 1000.0
    score = truth.charm[pool] - away_km / 0.5 + rng.gumbel(0.0, 1.0, pool.shape)
    best = np.argpartition(-score, longest - 1, axis=1)[:, :longest]
    order = np.argsort(-np.take_along_axis(score, best, axis=1), axis=1)
    return np.take_along_axis(pool, np.take_along_axis(best, order, axis=1), axis=1)


def _in_order(rounds: list[_Round], visits: int) -> Log:
    """Put the rounds' lists into the order of the visits, and the ratings by user and time."""
    count = np.concatenate([r.count for r in rounds])
    where = np.empty(visits, dtype=np.int64)
    where[np.concatenate([r.visit for r in rounds])] = np.arange(visits)
    at, offsets = gather_positions(offsets_of(count), where)
    user, when, row, rating = (np.concatenate([r.events[i] for r in rounds]) for i in range(4))
    order = np.lexsort((when, user))
    return Log(
        offsets=offsets,
        rows=np.concatenate([r.rows for r in rounds])[at],
        labels=np.concatenate([r.labels for r in rounds])[at],
        position=np.concatenate([r.position for r in rounds])[at],
        oracle=np.concatenate([r.oracle for r in rounds])[at],
        event_user=user[order],
        event_s=when[order],
        event_row=row[order],
        event_rating=rating[order].astype(np.float32),
    )
