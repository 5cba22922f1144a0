"""A load forecast: the usual load at that time of the week, corrected by the present, plus a band for recent errors.

The usual load is a seasonal table with exponential smoothing from week to week. The ratio of the present load to the
usual load is carried forward, and fades with time (both in the manner of Holt, 1957, and Winters, 1960). While no
season is known, the forecast is a damped trend (Gardner and McKenzie, 1985).

This is our own implementation because it runs in Serve's controller, whose loop takes 0.1 s. A step takes microseconds,
and the state has a few thousand bytes. The smoothing in statsmodels would be fitted again at each step, which takes
seconds if the samples span weeks.
"""

import math
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

_DAY_S, _WEEK_S = 86_400, 604_800
_FAST_S, _SLOW_S = 30.0, 120.0
"""Time constants for the two averages whose difference is the trend."""
_MOST_AWAITED = 8
_LEARNT_ERROR = 0.1
_MAX_RATIO = 4.0
_UNSEEN = -1.0


class ForecastConfig(BaseModel):
    """Forecast options.

    Attributes:
        bin_s: bin width in the seasonal table.
        band: how many standard deviations of recent errors are added to a forecast.
        fade_s: time constant with which a difference from the season, or a trend, fades.
        learnt: the newest week's weight in the seasonal average.
        max_growth: a forecast is at most this many times the highest load seen. A trend or a shifted season would grow
            without bound, but a real load does not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bin_s: float = Field(default=900.0, ge=60, le=3600)
    band: float = Field(default=1.0, ge=0, le=5)
    fade_s: float = Field(default=1800.0, ge=10, le=86_400)
    learnt: float = Field(default=0.5, gt=0, le=1)
    max_growth: float = Field(default=1.15, ge=1, le=10)


@dataclass(frozen=True, slots=True)
class ForecastState:
    """The state of a forecast.

    Attributes:
        season: (bins per week,) mean loads. -1 for a bin that was never seen.
        bin: the present bin's index.
        total: sum over the loads in the present bin.
        count: number of loads in the present bin.
        last_s: when the last load was observed.
        fast: exponential average load with a short time constant.
        slow: exponential average load with a long time constant.
        awaited: earlier forecasts as (due_s, load), to be compared with the load at that time.
        variance: variance of logarithmic forecast errors.
        highest: the highest load seen.
    """

    season: tuple[float, ...] = ()
    bin: int = -1
    total: float = 0.0
    count: int = 0
    last_s: float | None = None
    fast: float = 0.0
    slow: float = 0.0
    awaited: tuple[tuple[float, float], ...] = ()
    variance: float = 0.01
    highest: float = 0.0


def observed(config: ForecastConfig, state: ForecastState, now_s: float, load: float) -> ForecastState:
    """Return the state after the load at ``now_s``. A second load at the same time is ignored."""
    if state.last_s is None:
        season = (_UNSEEN,) * _bins(config)
        return ForecastState(season, _bin(config, now_s), load, 1, now_s, load, load, highest=load)
    elapsed_s = now_s - state.last_s
    if elapsed_s <= 0:
        return state
    due = [value for due_s, value in state.awaited if due_s <= now_s]
    variance = state.variance
    for value in due:
        error = math.log((load + 1) / (value + 1))
        variance += _LEARNT_ERROR * (min(error**2, 1.0) - variance)
    present, season, total, count = _bin(config, now_s), state.season, state.total + load, state.count + 1
    if present != state.bin:
        mean, known = state.total / state.count, season[state.bin]
        learnt = mean if known < 0 else known + config.learnt * (mean - known)
        season, total, count = (*season[: state.bin], learnt, *season[state.bin + 1 :]), load, 1
    return ForecastState(
        season=season,
        bin=present,
        total=total,
        count=count,
        last_s=now_s,
        fast=state.fast + (load - state.fast) * -math.expm1(-elapsed_s / _FAST_S),
        slow=state.slow + (load - state.slow) * -math.expm1(-elapsed_s / _SLOW_S),
        awaited=state.awaited[len(due) :],
        variance=variance,
        highest=max(state.highest, load),
    )


def forecast(
    config: ForecastConfig, state: ForecastState, now_s: float, horizon_s: float
) -> tuple[float, ForecastState]:
    """Return the highest load that is expected within ``horizon_s``, including the band, and the next state.

    The load is at most ``max_growth`` times the highest load seen. The next state remembers the forecast, to learn from
    its error.
    """
    usual, most = _usual(config, state, now_s), config.max_growth * state.highest
    parts = (0.25, 0.5, 0.75, 1.0)
    values = [min(most, _expected(config, state, usual, now_s, horizon_s * part)) for part in parts]
    newest_s = state.awaited[-1][0] if state.awaited else -math.inf
    if now_s + horizon_s >= newest_s + horizon_s / _MOST_AWAITED:
        state = replace(state, awaited=(*state.awaited, (now_s + horizon_s, values[-1])))
    return min(most, max(values) * math.exp(config.band * math.sqrt(state.variance))), state


def _expected(
    config: ForecastConfig, state: ForecastState, usual: float, now_s: float, ahead_s: float
) -> float:
    """Return the load that is expected in ``ahead_s``. ``usual`` is the usual load now."""
    fading = math.exp(-ahead_s / config.fade_s)
    if usual > 0 and (then := _usual(config, state, now_s + ahead_s)) >= 0:
        ratio = min(max(state.fast / usual, 1 / _MAX_RATIO), _MAX_RATIO)
        return float(then * ratio**fading)
    # Averages lag behind a steady slope by their time constants.
    slope = (state.fast - state.slow) / (_SLOW_S - _FAST_S)
    return max(0.0, state.fast + slope * (_FAST_S + config.fade_s * (1 - fading)))


def _usual(config: ForecastConfig, state: ForecastState, time_s: float) -> float:
    """Return the usual load at a time, interpolated between two bin centres. Negative if it is not known."""
    middle = time_s / config.bin_s - 0.5
    first = math.floor(middle)
    before = _seen(config, state, first * config.bin_s)
    if before < 0:
        return _UNSEEN
    after = _seen(config, state, (first + 1) * config.bin_s)
    return _UNSEEN if after < 0 else before + (middle - first) * (after - before)


def _seen(config: ForecastConfig, state: ForecastState, time_s: float) -> float:
    """Return a bin's usual load. If the bin was never seen, use the same time on the latest day that was seen."""
    season, bin_s = state.season, config.bin_s
    bins = len(season)
    # ``_bin`` is inlined for speed: while no day is known, each decision looks up all seven days.
    for day in range(7):
        load = season[int((time_s - day * _DAY_S) % _WEEK_S // bin_s) % bins]
        if load >= 0:
            return load
    return _UNSEEN


def _bins(config: ForecastConfig) -> int:
    return math.ceil(_WEEK_S / config.bin_s)


def _bin(config: ForecastConfig, time_s: float) -> int:
    return int((time_s % _WEEK_S) // config.bin_s) % _bins(config)
