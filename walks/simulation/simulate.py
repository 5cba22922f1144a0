"""SIMULATED behaviour: shown lists, opened and walked routes, and ratings.

Lists come from a logging policy that prefers near and charming routes, with random noise. People look at a list from
the top (position bias) and open some routes they look at. They walk at most one opened route, and rate it and some of
the other opened routes. The simulation records three event types: the top of each list, the opened routes, and the
ratings.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from walks.presets import WorldConfig
from walks.simulation.log import Events, Log, Round, in_order
from walks.simulation.news import News
from walks.simulation.people import People
from walks.simulation.utility import RATING_NOISE, SEEN, TIRED, Moment, RouteTruth, sigmoid, utility
from walks.simulation.visits import Visits

OPENED = 0.25
"""Relevance of an opened route that was not walked. A walked route has 0.5 to 1 by its rating, all others 0."""

NEAREST = 1600  # routes considered around a place
POOL = 400  # routes that can be shown at the place, drawn at random from the nearest
NEAR_CELL_M = 50.0
EXAMINE_DECAY = 0.5  # the chance to look at position p is (1 + p) ** -EXAMINE_DECAY
CHOICE_NOISE = 0.5
RATES_OPENED = 0.35
NOT_TODAY = 0.0  # a person walks only if the best route is above this utility
REMEMBERED = 6  # recent walks that a person is tired of
TOP = 5  # first positions in a list that count as shown
SEEN_LATELY = 15  # recently shown routes that a person likes less


@dataclass(frozen=True)
class UserMemory:
    """Each user's recent routes, newest first. -1 stands for none."""

    walked: NDArray[np.int64]  # (U, REMEMBERED)
    seen: NDArray[np.int64]  # (U, SEEN_LATELY)

    def weariness(self, users: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the utility (Q, C) that candidates `rows` (Q, C) lose for the `users` (Q,)."""
        lost = TIRED * (rows[:, :, None] == self.walked[users][:, None, :]).any(axis=2)
        return np.asarray(lost + SEEN * (rows[:, :, None] == self.seen[users][:, None, :]).sum(axis=2))


def simulate(
    people: People,
    truth: RouteTruth,
    news: News,
    visits: Visits,
    config: WorldConfig,
    rng: np.random.Generator,
) -> Log:
    """Play all visits: every user's first visit, then every user's second visit, and so on."""
    first = np.searchsorted(visits.user, visits.user)
    turn = np.arange(len(visits.user)) - first
    pools = _pools(truth, visits.moment.xy, rng)
    memory = UserMemory(np.full((len(people), REMEMBERED), -1), np.full((len(people), SEEN_LATELY), -1))
    rounds = [
        _play(people, truth, news, visits, np.flatnonzero(turn == number), pools, memory, config, rng)
        for number in range(int(turn.max()) + 1)
    ]
    return in_order(rounds, len(visits.user))


def _pools(
    truth: RouteTruth, xy: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the routes that can be shown in each 50 m cell, (cells, POOL), and each visit's cell."""
    cells, cell = np.unique(np.floor(xy / NEAR_CELL_M), axis=0, return_inverse=True)
    pool_size = min(NEAREST, len(truth.start))
    _, nearest = cKDTree(truth.start).query((cells + 0.5) * NEAR_CELL_M, k=pool_size)
    nearest = np.asarray(nearest, dtype=np.int64).reshape(len(cells), pool_size)
    chosen = np.argsort(rng.random(nearest.shape), axis=1)[:, :POOL]
    return np.take_along_axis(nearest, chosen, axis=1), cell.ravel()


def _play(
    people: People,
    truth: RouteTruth,
    news: News,
    visits: Visits,
    visit: NDArray[np.int64],
    pools: tuple[NDArray[np.int64], NDArray[np.int64]],
    memory: UserMemory,
    config: WorldConfig,
    rng: np.random.Generator,
) -> Round:
    users, moment = visits.user[visit], visits.moment.take(visit)
    pool = pools[0][pools[1][visit]]
    longest = min(config.max_list, pool.shape[1])
    count = rng.integers(min(config.min_list, longest), longest + 1, len(visit))
    rows = _shown(truth, moment, pool, longest, rng)
    is_shown = np.arange(longest) < count[:, None]
    expected = utility(people, truth, news, users, moment, rows) - memory.weariness(users, rows)
    felt = expected + rng.normal(0.0, CHOICE_NOISE, rows.shape).astype(np.float32)
    looked = is_shown & (rng.random(rows.shape) < (1.0 + np.arange(longest)) ** -EXAMINE_DECAY)
    opened = looked & (rng.random(rows.shape) < sigmoid(1.5 * felt - 0.5))
    best = np.where(opened, felt, -np.inf).argmax(axis=1)
    line = np.arange(len(visit))
    walked = opened[line, best] & (felt[line, best] > NOT_TODAY)
    rating = sigmoid(expected + rng.normal(0.0, RATING_NOISE, rows.shape).astype(np.float32))
    labels = np.where(opened, np.float32(OPENED), np.float32(0.0))
    labels[line[walked], best[walked]] = 0.5 + 0.5 * rating[line[walked], best[walked]]
    is_walk = np.zeros(rows.shape, dtype=np.bool_)
    is_walk[line[walked], best[walked]] = True
    rated = is_walk | (opened & (rng.random(rows.shape) < RATES_OPENED))
    _remember(memory, users, rows, walked, best)
    events = _events_of(people, truth, users, moment.at_s, rows, opened, rated, is_walk, rating)
    order = np.argsort(np.where(is_shown, rows, np.iinfo(np.int64).max), axis=1)
    keep = np.take_along_axis(is_shown, order, axis=1)

    def flat(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.take_along_axis(values, order, axis=1)[keep])

    return Round(
        visit=visit,
        count=count,
        rows=flat(rows),
        labels=flat(labels.astype(np.float32)),
        position=flat(np.broadcast_to(np.arange(longest, dtype=np.int16), rows.shape)),
        oracle=flat(sigmoid(expected)),
        events=events,
    )


def _remember(
    memory: UserMemory,
    users: NDArray[np.int64],
    rows: NDArray[np.int64],
    walked: NDArray[np.bool_],
    best: NDArray[np.int64],
) -> None:
    """Insert walked routes and each list's top at the front of the users' memory."""
    walkers, walk = users[walked], rows[walked, best[walked]]
    memory.walked[walkers] = np.column_stack([walk, memory.walked[walkers, :-1]])
    top = rows[:, :TOP]
    memory.seen[users] = np.column_stack([top, memory.seen[users, : SEEN_LATELY - top.shape[1]]])


def _events_of(
    people: People,
    truth: RouteTruth,
    users: NDArray[np.int64],
    at_s: NDArray[np.float64],
    rows: NDArray[np.int64],
    opened: NDArray[np.bool_],
    rated: NDArray[np.bool_],
    is_walk: NDArray[np.bool_],
    rating: NDArray[np.float32],
) -> tuple[Events, Events, Events]:
    """Return the shown, opened and rated events. People read from the top down, two seconds per position."""
    index = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    walk_s = 3600.0 * np.exp(truth.log_km[rows]) / people.pace_kmh[users][:, None]
    after_s = 1.0 + 2.0 * index + np.where(is_walk, walk_s, 1.0)

    def events(chosen: NDArray[np.bool_], later_s: NDArray[np.floating], scale: float) -> Events:
        list_index, column = np.nonzero(chosen)
        when = at_s[list_index] + later_s[list_index, column]
        return Events(
            users[list_index], when, rows[list_index, column], np.float32(scale) * rating[list_index, column]
        )

    return (
        events(index < TOP, np.zeros(rows.shape), 0.0),
        events(opened, 1.0 + 2.0 * index, 0.0),
        events(rated, after_s, 1.0),
    )


def _shown(
    truth: RouteTruth, moment: Moment, pool: NDArray[np.int64], longest: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the logging policy's lists (Q, longest), best first: near and charming, a Plackett-Luce draw."""
    away_km = np.hypot(*np.moveaxis(truth.start[pool] - moment.xy[:, None], 2, 0)) / 1000.0
    score = truth.charm[pool] - away_km / 0.5 + rng.gumbel(0.0, 1.0, pool.shape)
    best = np.argpartition(-score, longest - 1, axis=1)[:, :longest]
    order = np.argsort(-np.take_along_axis(score, best, axis=1), axis=1)
    return np.take_along_axis(pool, np.take_along_axis(best, order, axis=1), axis=1)
