"""SIMULATED visits: when and where a person opens the application, and the way the person came.

Weather and holidays are real.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.simulation.calendars import draw_calendar
from walks.simulation.people import People
from walks.simulation.utility import Moment
from walks.simulation.weather import HOUR_S, Weather

APART_S = 4 * 3600.0
"""Minimum time between a person's visits. It is longer than any walk, so a rating precedes the next visit."""

FIXES_MIN = (75.0, 60.0, 45.0, 30.0, 15.0, 5.0)
"""The phone reports its position about this many minutes before a visit."""

_HALF_HOUR = 30.0
_FIX_NOISE_M = 15.0
_WORKDAY = np.array(
    [0, 0, 0, 0, 0, 1, 3, 5, 4, 2, 2, 8, 10, 6, 2, 3, 6, 10, 12, 9, 6, 3, 2, 1], dtype=np.float64
)
_DAY_OFF = np.array(
    [0, 0, 0, 0, 0, 0, 1, 2, 4, 7, 9, 10, 11, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], dtype=np.float64
)


@dataclass(frozen=True)
class Visits:
    """Q visits, ordered by user and then by time."""

    user: NDArray[np.int64]
    at_s: NDArray[np.float64]  # epoch seconds
    moment: Moment
    fix_s: NDArray[np.float64]  # (Q, len(FIXES_MIN)) when positions were reported, ascending, before at_s
    fix_xy: NDArray[np.float64]  # (Q, len(FIXES_MIN), 2) metres


def draw_visits(
    people: People,
    weather: Weather,
    hours: tuple[int, int],
    per_user: float,
    corners: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    least: int = 4,
) -> Visits:
    """Draw visits in the hours [first, last), with lunch and evening peaks and fewer visits in rain, snow and cold.

    Args:
        people: the users.
        weather: the weather series.
        hours: the series' hours: the first, and the one after the last.
        per_user: mean visits per user, before visits that are too close in time are dropped.
        corners: (2, 2) x, y metres: the map's bounding box.
        rng: random numbers.
        least: minimum visits per user, before visits that are too close in time are dropped.
    """
    window = np.arange(*hours)
    off = weather.day_off()
    rate = np.where(off, _DAY_OFF[np.arange(weather.hours) % 24], _WORKDAY[np.arange(weather.hours) % 24])
    rate = rate * np.exp(-0.6 * (weather.rain_mm > 0.1) - 0.4 * weather.snowing)
    rate = (rate * np.exp(-np.clip(-weather.temperature_c, 0, 20) / 20))[window]
    rate = rate if rate.sum() > 0 else np.ones(len(window))
    count = np.maximum(rng.poisson(per_user, len(people)), least)
    user = np.repeat(np.arange(len(people)), count)
    hour = window[rng.choice(len(window), size=len(user), p=rate / rate.sum())]
    at_s = weather.start_s + HOUR_S * (hour + rng.random(len(user)))
    order = np.lexsort((at_s, user))
    user, at_s = user[order], at_s[order]
    mask = _far_enough(user, at_s)
    user, at_s = user[mask], at_s[mask]
    return _staged(people, weather, user, at_s, corners, rng)


def _far_enough(user: NDArray[np.int64], at_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    keep = np.ones(len(user), dtype=np.bool_)
    last_user, last_s = -1, -np.inf
    for i, (owner, when) in enumerate(zip(user.tolist(), at_s.tolist(), strict=True)):
        if owner == last_user and when - last_s < APART_S:
            keep[i] = False
        else:
            last_user, last_s = owner, when
    return keep


def _staged(
    people: People,
    weather: Weather,
    user: NDArray[np.int64],
    at_s: NDArray[np.float64],
    corners: NDArray[np.float64],
    rng: np.random.Generator,
) -> Visits:
    """Draw each visit's place, the way there and the next appointment, and add the weather."""
    hour = weather.hour_of(at_s)
    off = weather.day_off()[hour]
    xy = _where(people, user, hour % 24, off, corners, rng)
    before = np.where(
        rng.random((len(user), 1)) < 0.5, xy, _where(people, user, (hour - 4) % 24, off, corners, rng)
    )
    left_min = rng.uniform(20.0, 50.0, len(user))
    came_min = left_min * rng.uniform(0.0, 0.4, len(user))
    fix_min = np.array(FIXES_MIN) + rng.uniform(-2.0, 2.0, (len(user), len(FIXES_MIN)))
    fix_xy = _along(before, xy, left_min, came_min, fix_min)
    calendar = draw_calendar(people, user, at_s, weather, corners, rng)
    wait_s, row = calendar.next_of(user, at_s)
    next_xy = np.where((row >= 0)[:, None], calendar.xy[row] if len(calendar.user) else xy, xy)
    way_min = 60.0 * np.hypot(*(next_xy - xy).T) / 1000.0 / people.pace_kmh[user]
    typical = _free_minutes(hour % 24, off, rng)
    raining = (weather.rain_mm > 0.1).astype(np.float32)
    moment = Moment(
        xy=xy,
        at_s=at_s,
        hour=((at_s / HOUR_S) % 24).astype(np.float32),
        series_hour=hour,
        off=off,
        temperature_c=weather.temperature_c[hour],
        raining=raining[hour],
        rain_ahead=weather.ahead(raining, 2).max(axis=1)[hour],
        snowing=weather.snowing[hour],
        snow_day_h=weather.sum_over_last(weather.snowing, 24)[hour],
        traffic=weather.traffic[hour],
        minutes=np.clip(np.minimum(typical, wait_s / 60.0 - way_min), 10.0, 180.0).astype(np.float32),
        wait_s=wait_s,
        next_xy=next_xy,
        came_from=_along(before, xy, left_min, came_min, np.full((len(user), 1), _HALF_HOUR))[:, 0],
    )
    return Visits(
        user,
        at_s,
        moment,
        at_s[:, None] - 60.0 * fix_min,
        fix_xy + rng.normal(0.0, _FIX_NOISE_M, fix_xy.shape),
    )


def _along(
    before: NDArray[np.float64],
    xy: NDArray[np.float64],
    left_min: NDArray[np.float64],
    came_min: NDArray[np.float64],
    minutes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return where people were `minutes` (Q, T) ago, (Q, T, 2), on the straight way from `before` to `xy` (Q, 2)."""
    progress = np.clip((left_min[:, None] - minutes) / (left_min - came_min)[:, None], 0.0, 1.0)
    return np.asarray(before[:, None] + progress[:, :, None] * (xy - before)[:, None])


def _where(
    people: People,
    user: NDArray[np.int64],
    hour: NDArray[np.int64],
    off: NDArray[np.bool_],
    corners: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw places (Q, 2): work in working hours, else home, sometimes elsewhere, with 100 m noise on each axis."""
    working = (hour >= 9) & (hour < 17) & ~off
    base = np.where(working[:, None], people.work[user], people.home[user])
    elsewhere = rng.random(len(user)) < 0.25
    base = np.where(elsewhere[:, None], rng.uniform(corners[0], corners[1], base.shape), base)
    return np.asarray(np.clip(base + rng.normal(0.0, 100.0, base.shape), corners[0], corners[1]))


def _free_minutes(
    hour: NDArray[np.int64], off: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the minutes that people take for a walk if no appointment limits them."""
    lunch = (hour >= 11) & (hour < 14) & ~off
    typical = np.where(lunch, 30.0, np.where(off, 75.0, 50.0))
    return np.asarray(typical * np.exp(rng.normal(0.0, 0.35, len(hour))))
