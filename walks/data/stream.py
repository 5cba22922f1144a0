"""SIMULATED events that go on after a world's present, in order of time: the input of the streaming mode.

The same people, routes, news and behaviour as in the training data, with the real weather of the days ahead.
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
    """How many hours the series goes on after the present."""
    return scene.weather.hours - int((PRESENT_S - scene.weather.start_s) / HOUR_S)


def events_ahead(
    scene: Scene, config: WorldConfig, *, users: int, hours: int, visits_per_day: float, seed: int
) -> Iterator[dict[str, Any]]:
    """Give position and feedback events of the first `users` users for `hours` hours from the present.

    Each has `event`, `user_id`, `at_s` (epoch seconds) and `sequence` (unique in a user's events of its kind), and
    the fields that features read of it: `position` (lat, lon degrees) or `key` (the item's) and `rating`.

    Raises:
        NoWorldError: more users or hours are asked for than the world has.
    """
    known, ahead = len(scene.people), most_hours(scene)
    if users > known or hours > ahead:
        raise NoWorldError(
            f"the world has {known} users and {ahead} hours of weather after its present, {users} users and {hours}"
            " hours are asked for; ask for less, or build the full preset: rankway walks build"
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
        if when < PRESENT_S:  # on the way to the first visits
            continue
        fields = {name: values[row].tolist() for name, values in tables[kind].fields.items()}
        yield {"event": kind, "user_id": user_id(int(owner[kind][row])), **fields, "at_s": when}


def paced(events: Iterable[dict[str, Any]], speed: float) -> Iterator[dict[str, Any]]:
    """Give events as their time comes, `speed` simulated seconds a second; 0: at once."""
    started, first_s = time.monotonic(), None
    for event in events:
        if speed:
            first_s = event["at_s"] if first_s is None else first_s
            time.sleep(max(0.0, (event["at_s"] - first_s) / speed - (time.monotonic() - started)))
        yield event
