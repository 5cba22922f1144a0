"""SIMULATED calendars: each person's appointments on days when the person opens the application."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from walks.simulation.people import People
from walks.simulation.weather import DAY_S, HOUR_S, Weather

APPOINTMENTS = 1.5
"""Mean appointments per day."""

NONE_S = DAY_S
"""Time to the next appointment if there is none on the same day."""

_WORKDAY = np.array([0] * 8 + [4, 8, 8, 4, 5, 8, 8, 7, 5, 5, 6, 6, 3, 1, 0, 0], dtype=np.float64)
_DAY_OFF = np.array([0] * 9 + [1, 2, 4, 5, 6, 6, 6, 6, 6, 7, 7, 4, 2, 1, 0], dtype=np.float64)


@dataclass(frozen=True)
class Calendar:
    """The A appointments of all users, ordered by user and then by time."""

    user: NDArray[np.int64]
    start_s: NDArray[np.float64]  # epoch seconds, on a quarter of an hour
    xy: NDArray[np.float64]  # (A, 2) metres: the place

    def next_of(
        self, user: NDArray[np.int64], at_s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the user's next appointment on the same day.

        Args:
            user: (Q,) user numbers.
            at_s: (Q,) moments, epoch seconds.

        Returns:
            Seconds (Q,) until the appointment starts, and its row (Q,). NONE_S and -1 if there is none.
        """
        if len(self.user) == 0:
            return np.full(len(user), NONE_S), np.full(len(user), -1)
        span = 2.0 * max(float(self.start_s.max()), float(at_s.max(initial=0.0)))
        row = np.searchsorted(self.user * span + self.start_s, user * span + at_s, side="right")
        row = np.minimum(row, len(self.user) - 1)
        wait = self.start_s[row] - at_s
        same_day = np.floor(self.start_s[row] / DAY_S) == np.floor(at_s / DAY_S)
        is_due = (self.user[row] == user) & (wait > 0) & same_day
        return np.where(is_due, wait, NONE_S), np.where(is_due, row, -1)


def draw_calendar(
    people: People,
    user: NDArray[np.int64],
    at_s: NDArray[np.float64],
    weather: Weather,
    corners: NDArray[np.float64],
    rng: np.random.Generator,
) -> Calendar:
    """Draw each user's appointments on the day of `at_s`. `user` and `at_s` are (Q,)."""
    days = np.unique(np.column_stack([user, np.floor(at_s / DAY_S).astype(np.int64)]), axis=0)
    days = np.repeat(days, rng.poisson(APPOINTMENTS, len(days)), axis=0)
    owner, midnight = days[:, 0], DAY_S * days[:, 1]
    off = weather.day_off()[weather.hour_of(midnight)]
    free, busy = (rng.choice(24, size=len(owner), p=rate / rate.sum()) for rate in (_DAY_OFF, _WORKDAY))
    start_s = midnight + HOUR_S * np.where(off, free, busy) + 900.0 * rng.integers(0, 4, len(owner))
    elsewhere = rng.uniform(corners[0], corners[1], (len(owner), 2))
    at_work = ~off & (rng.random(len(owner)) < 0.5)
    order = np.lexsort((start_s, owner))
    return Calendar(
        owner[order], start_s[order], np.where(at_work[:, None], people.work[owner], elsewhere)[order]
    )
