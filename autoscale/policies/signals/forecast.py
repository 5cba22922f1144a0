"""A forecast of load: the same hour of the week, corrected by the present, and a band for what was missed lately.

A seasonal table with exponential smoothing from week to week, a ratio to the season that fades (both in the manner of
Holt, 1957, and Winters, 1960), and until a season is known a damped trend (Gardner and McKenzie, 1985). It is our own,
as it runs in Serve's controller, whose loop is 0.1 s long: a step is microseconds and its state a few thousand bytes,
where statsmodels' smoothing is fitted anew, for seconds, over weeks of samples.
"""

import math
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

_DAY_S, _WEEK_S = 86_400, 604_800
_FAST_S, _SLOW_S = 30.0, 120.0
"""Time constants of the two averages whose difference is the trend."""
_MOST_AWAITED = 8
_LEARNT_ERROR = 0.1
_MAX_RATIO = 4.0
_UNSEEN = -1.0


class ForecastConfig(BaseModel):
    """bin_s: of the season's table. band: standard deviations of late errors that are added to a forecast.

    fade_s: a difference from the season, or a trend, is expected to fade with this time constant.
    learnt: weight of the newest week in the season's average. max_growth: a forecast is at most so many times the
    highest load seen. A trend or a late season goes on without end, a real load does not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bin_s: float = Field(default=900.0, ge=60, le=3600)
    band: float = Field(default=1.0, ge=0, le=5)
    fade_s: float = Field(default=1800.0, ge=10, le=86_400)
    learnt: float = Field(default=0.5, gt=0, le=1)
    max_growth: float = Field(default=1.15, ge=1, le=10)


@dataclass(frozen=True, slots=True)
class ForecastState:
    """season: (bins of a week,) mean loads, -1 where not seen. bin, total, count: of the bin under way.

    fast, slow: averages. highest: load seen so far. awaited: forecasts (due_s, load) to be compared. variance: of
    logarithms of their errors.
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
    """Learn the load at ``now_s``; the same moment again teaches nothing."""
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
    """Return the highest load expected up to ``horizon_s`` from now, band included, and the state that awaits it.

    It is bounded by ``max_growth`` times the highest load seen.
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
    """Give the load expected so far ahead, where it is usually ``usual`` now."""
    fading = math.exp(-ahead_s / config.fade_s)
    if usual > 0 and (then := _usual(config, state, now_s + ahead_s)) >= 0:
        ratio = min(max(state.fast / usual, 1 / _MAX_RATIO), _MAX_RATIO)
        return float(then * ratio**fading)
    # Averages lag behind a steady slope by their time constants.
    slope = (state.fast - state.slow) / (_SLOW_S - _FAST_S)
    return max(0.0, state.fast + slope * (_FAST_S + config.fade_s * (1 - fading)))


def _usual(config: ForecastConfig, state: ForecastState, time_s: float) -> float:
    """Give the season's load between the middles of two bins; below 0 where it is not known."""
    middle = time_s / config.bin_s - 0.5
    first = math.floor(middle)
    before = _seen(config, state, first * config.bin_s)
    if before < 0:
        return _UNSEEN
    after = _seen(config, state, (first + 1) * config.bin_s)
    return _UNSEEN if after < 0 else before + (middle - first) * (after - before)


def _seen(config: ForecastConfig, state: ForecastState, time_s: float) -> float:
    """Give the load of a bin of the week; where it was never seen that of the last day on which it was."""
    season, bin_s = state.season, config.bin_s
    bins = len(season)
    # ``_bin`` written out: all of a week's days are asked where none is known yet, at every decision.
    for day in range(7):
        load = season[int((time_s - day * _DAY_S) % _WEEK_S // bin_s) % bins]
        if load >= 0:
            return load
    return _UNSEEN


def _bins(config: ForecastConfig) -> int:
    return math.ceil(_WEEK_S / config.bin_s)


def _bin(config: ForecastConfig, time_s: float) -> int:
    return int((time_s % _WEEK_S) // config.bin_s) % _bins(config)
