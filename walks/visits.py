"""SIMULATED visits: when and where each person opens the application. Weather and holidays are real."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.opinions import Moment
from walks.people import People
from walks.weather import Weather

APART_S = 4 * 3600.0
"""Least time between two visits of one person: longer than any walk, so a rating precedes the next visit."""

_WORKDAY = np.array(
    [0, 0, 0, 0, 0, 1, 3, 5, 4, 2, 2, 8, 10, 6, 2, 3, 6, 10, 12, 9, 6, 3, 2, 1], dtype=np.float64
)
_DAY_OFF = np.array(
    [0, 0, 0, 0, 0, 0, 1, 2, 4, 7, 9, 10, 11, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], dtype=np.float64
)


@dataclass(frozen=True)
class Visits:
    """Q visits, ordered by user, then time."""

    user: NDArray[np.int64]
    at_s: NDArray[np.float64]  # seconds since the start of the simulated period
    moment: Moment


def draw_visits(
    people: People, weather: Weather, per_user: float, corners: NDArray[np.float64], rng: np.random.Generator
) -> Visits:
    """Draw visits with lunch and evening peaks, fewer in rain and cold. Each user has at least four."""
    weekday = weather.weekday()
    off = (weekday >= 5) | weather.holiday
    rate = np.where(off, _DAY_OFF[np.arange(weather.hours) % 24], _WORKDAY[np.arange(weather.hours) % 24])
    rate = (
        rate * np.exp(-0.6 * (weather.rain_mm > 0.1)) * np.exp(-np.clip(-weather.temperature_c, 0, 20) / 20)
    )
    count = np.maximum(rng.poisson(per_user, len(people)), 4)
    user = np.repeat(np.arange(len(people)), count)
    hour = rng.choice(weather.hours, size=len(user), p=rate / rate.sum())
    at_s = 3600.0 * (hour + rng.random(len(user)))
    order = np.lexsort((at_s, user))
    user, at_s = user[order], at_s[order]
    apart = _far_enough(user, at_s)
    user, at_s = user[apart], at_s[apart]
    hour = (at_s // 3600).astype(np.int64)
    moment = Moment(
        xy=_where(people, user, hour % 24, off[hour], corners, rng),
        hour=((at_s / 3600.0) % 24).astype(np.float32),
        weekday=weekday[hour].astype(np.float32),
        temperature_c=weather.temperature_c[hour],
        rain_mm=weather.rain_mm[hour],
        minutes=_free_minutes(hour % 24, off[hour], rng),
    )
    return Visits(user, at_s, moment)


def _far_enough(user: NDArray[np.int64], at_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    keep = np.ones(len(user), dtype=np.bool_)
    last_user, last_s = -1, -np.inf
    for i, (who, when) in enumerate(zip(user.tolist(), at_s.tolist(), strict=True)):
        if who == last_user and when - last_s < APART_S:
            keep[i] = False
        else:
            last_user, last_s = who, when
    return keep


def _where(
    people: People,
    user: NDArray[np.int64],
    hour: NDArray[np.int64],
    off: NDArray[np.bool_],
    corners: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """At work in working hours, at home otherwise, sometimes elsewhere; within about 150 m."""
    working = (hour >= 9) & (hour < 17) & ~off
    base = np.where(working[:, None], people.work[user], people.home[user])
    elsewhere = rng.random(len(user)) < 0.25
    base = np.where(elsewhere[:, None], rng.uniform(corners[0], corners[1], base.shape), base)
    return np.asarray(np.clip(base + rng.normal(0.0, 100.0, base.shape), corners[0], corners[1]))


def _free_minutes(
    hour: NDArray[np.int64], off: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    lunch = (hour >= 11) & (hour < 14) & ~off
    typical = np.where(lunch, 30.0, np.where(off, 75.0, 50.0))
    minutes = typical * np.exp(rng.normal(0.0, 0.35, len(hour)))
    return np.asarray(np.clip(minutes, 10.0, 180.0), dtype=np.float32)
