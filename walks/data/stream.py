"""SIMULATED events after a world's present, ordered by time, printed by `rankway walks simulate`.

People, routes, news and behaviour are the same as in the training data. The weather is the real series for those days.
"""

import heapq
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from walks.data.event_tables import tables_of
from walks.data.users import user_id
from walks.errors import NoWorldError
from walks.presets import WorldConfig
from walks.simulation.scene import Scene
from walks.simulation.simulate import simulate
from walks.simulation.visits import draw_visits
from walks.simulation.weather import DAY_S, HOUR_S, PRESENT_S


def most_hours(scene: Scene) -> int:
    """Return the weather series' length after the present, in hours."""
    return scene.weather.hours - int((PRESENT_S - scene.weather.start_s) / HOUR_S)


def events_ahead(
    scene: Scene, config: WorldConfig, *, users: int, hours: int, visits_per_day: float, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the position and feedback events of the first `users` users, for `hours` hours from the present.

    Each event has `event`, `user_id`, `at_s` (epoch seconds), `sequence` (unique among a user's events of that type)
    and the fields that features read: `position` (lat, lon degrees), or `key` (item key) and for ratings `rating`.

    Args:
        scene: the simulation state.
        config: the world sizes.
        users: user count.
        hours: the stream's length.
        visits_per_day: mean visits per user and day.
        seed: random seed.

    Raises:
        NoWorldError: the world has fewer users or hours.
    """
    user_count, ahead = len(scene.people), most_hours(scene)
    if users > user_count or hours > ahead:
        raise NoWorldError(
            f"users, hours: the world has {user_count} users and {ahead} hours of weather after its present, got"
            f" {users} users and {hours} hours; request fewer, or build the full preset: rankway walks build"
        )
    people, rng = scene.people.first(users), np.random.default_rng(seed)
    last = scene.weather.hours - ahead + hours
    visits = draw_visits(
        people,
        scene.weather,
        (last - hours, last),
        visits_per_day * hours * HOUR_S / DAY_S,
        scene.corners,
        rng,
        least=0,
    )
    if len(visits.user) == 0:
        return
    log = simulate(people, scene.truth, scene.news, visits, config, rng)
    tables = tables_of(log, visits, scene.keys, scene.projection, users)

    def events_of(kind: str) -> Iterator[tuple[float, str, int]]:
        at_s = tables[kind].at_s
        order = np.argsort(at_s, kind="stable")
        return ((float(at_s[row]), kind, int(row)) for row in order.tolist())

    owner = {kind: np.repeat(np.arange(users), np.diff(table.offsets)) for kind, table in tables.items()}
    for when, kind, row in heapq.merge(*map(events_of, tables)):
        if when < PRESENT_S:  # positions on the way to the first visits
            continue
        fields = {name: values[row].tolist() for name, values in tables[kind].fields.items()}
        yield {"event": kind, "user_id": user_id(int(owner[kind][row])), **fields, "at_s": when}


def paced(events: Iterable[dict[str, Any]], speed: float) -> Iterator[dict[str, Any]]:
    """Yield events at their times, `speed` simulated seconds per second. If `speed` is 0, do not wait."""
    started, first_s = time.monotonic(), None
    for event in events:
        if speed:
            first_s = event["at_s"] if first_s is None else first_s
            time.sleep(max(0.0, (event["at_s"] - first_s) / speed - (time.monotonic() - started)))
        yield event
