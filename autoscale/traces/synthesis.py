"""Synthesises traces from two measured series, which requirements-data.txt installs.

Hourly bike hires give the shape of real days and weeks, including rain and holidays. Purchases by minute give the
bursts. Interpolated hours alone would have no bursts: single arrivals would not be random, and their rate would not
fluctuate from minute to minute.

1. A day's hourly counts are interpolated with a monotone cubic (Fritsch and Carlson, 1980). With the shape ``walks``,
   the day's total is spread as the walks application would see it, with bumps in the morning, at lunch and in the
   evening. This shape is assumed and not measured.
2. The rate is multiplied by a lognormal process with mean 1, whose logarithm is a first-order autoregression (a Cox
   process). Its variance and correlation time are as in the purchase rate. They come from the autocovariance at lags
   above 0, which the Poisson noise in single purchases does not affect. ``burstiness`` scales the coefficient of
   variation.
3. The result is scaled to the wanted requests per day, and each bin's count is drawn from a Poisson distribution.
"""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from autoscale.errors import TraceError
from autoscale.traces.bins import Bins
from autoscale.traces.measured_series import Bursts

Shape = Literal["hires", "walks"]
DAY_S, WEEK_S = 86_400.0, 604_800.0
# Each bump's hour, width in hours and weight over a floor. The floor has the rest of the weight up to 1.
_BUMPS = ((12.4, 1.1, 0.33), (18.4, 1.9, 0.42), (8.0, 1.2, 0.08))


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
    """Synthesise ``count`` days from ``first``, as described above. Time 0 is the Monday midnight before.

    Args:
        days: hourly hires by day, (24,) each.
        first: the first day.
        count: number of days.
        bursts: how the purchase rate fluctuates.
        shape: a day's shape.
        requests_per_day: mean over these days.
        candidates: mean candidates per request.
        candidates_cv: the candidates' coefficient of variation.
        burstiness: factor on the purchase rate's coefficient of variation.
        step_s: bin width.
        seed: the random seed.

    Raises:
        TraceError: a day is not in the series, or a number is out of range.
    """
    wanted = [first + timedelta(days=offset) for offset in range(count)]
    missing = [str(day) for day in wanted if day not in days]
    if missing or not wanted:
        raise TraceError(
            f"--day, --days: must be days in the series, which goes from {min(days)} to {max(days)}, got "
            f"{missing[0] if missing else 'no day'}; choose other days"
        )
    for name, value, least, most in (
        ("requests_per_day", requests_per_day, 1.0, 1e13),
        ("candidates", candidates, 1.0, 1e6),
        ("candidates_cv", candidates_cv, 0.0, 10.0),
        ("burstiness", burstiness, 0.0, 3.0),
        ("step_s", step_s, 1.0, 3600.0),
    ):
        if not least <= value <= most:
            raise TraceError(f"{name}: must be from {least:g} to {most:g}, got {value:g}")
    steps = round(DAY_S / step_s)
    if not math.isclose(steps * step_s, DAY_S):
        raise TraceError(f"step_s: must divide a day, got {step_s:g}; use 1, 10, 30 or 60, for example")
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
    """Return lines for the head of a trace file that say how the trace was synthesised."""
    span = f"{first}" if count == 1 else f"{first} to {first + timedelta(days=count - 1)}"
    form = (
        "Hours are interpolated with a monotone cubic."
        if shape == "hires"
        else "Each day's total is spread over the day with assumed bumps at lunch and in the evening."
    )
    return [
        f"Made from the bike hires of {span}, scaled. {form}",
        f"The rate varies as a lognormal process: CV {burstiness * bursts.cv:.2f} ({burstiness:g} times the CV of the",
        f"purchases), correlation time {bursts.correlation_s:.0f} s as in the purchases. Poisson counts (seed {seed}).",
        "Time 0 is Monday midnight. No real requests were recorded.",
        licence,
    ]


def _hires(hourly: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Interpolate counts (days, 24) between mid-hours."""
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
    """Return (size,) a lognormal process with mean 1 and the wanted coefficient of variation."""
    sigma = math.sqrt(math.log1p((burstiness * bursts.cv) ** 2))
    correlation = math.exp(-step_s / bursts.correlation_s)
    noise = rng.standard_normal(size)
    logs = np.empty(size)
    level = float(noise[0]) if size else 0.0
    for index in range(size):
        level = correlation * level + math.sqrt(1 - correlation**2) * float(noise[index]) if index else level
        logs[index] = level
    return np.asarray(np.exp(sigma * logs - sigma**2 / 2), dtype=np.float64)
