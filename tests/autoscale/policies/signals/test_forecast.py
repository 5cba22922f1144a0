import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.policies.signals.forecast import ForecastConfig, ForecastState, forecast, observed

CONFIG = ForecastConfig(band=0)
HOUR_S, DAY_S = 3600.0, 86_400.0


def hourly_load(time_s: float) -> float:
    """Return a load that is low at night, high at noon, and lower at weekends."""
    weekend = int(time_s // DAY_S + 3) % 7 >= 5
    return (0.5 if weekend else 1.0) * (1000 - 900 * math.cos(2 * math.pi * time_s / DAY_S))


def learnt(days: float, step_s: float = 60.0) -> ForecastState:
    state = ForecastState()
    for time_s in np.arange(0, days * DAY_S, step_s):
        state = observed(CONFIG, state, float(time_s), hourly_load(float(time_s)))
    return state


def test_a_steady_load_is_expected_to_stay() -> None:
    state = ForecastState()
    for time_s in range(0, 600, 5):
        state = observed(CONFIG, state, time_s, 500.0)
    assert forecast(CONFIG, state, 600, 120)[0] == pytest.approx(500)


def test_trend_is_expected_to_continue_and_fade() -> None:
    state = ForecastState()
    for time_s in range(0, 1200, 5):
        state = observed(CONFIG, state, time_s, 100.0 + time_s)
    assert forecast(CONFIG, state, 1200, 120)[0] == pytest.approx(1420, rel=0.03)
    assert forecast(CONFIG, state, 1200, 36_000)[0] < 1300 + CONFIG.fade_s * 1.1


def test_jump_is_not_extrapolated_without_bound() -> None:
    state = ForecastState()
    for time_s in range(0, 3600, 5):
        state = observed(CONFIG, state, time_s, 100.0)
    highest = 0.0
    for time_s in range(3600, 4200, 5):  # five times the load for ten minutes
        state = observed(CONFIG, state, time_s, 500.0)
        expected, state = forecast(CONFIG, state, time_s, 275)
        highest = max(highest, expected)
    assert 500 <= highest <= 1.15 * 500
    for time_s in range(4200, 9000, 5):
        state = observed(CONFIG, state, time_s, 100.0)
    assert forecast(CONFIG, state, 9000, 275)[0] < 150


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(1, DAY_S), st.floats(1, 5))
def test_forecast_is_bounded_by_the_highest_load_times_max_growth(
    loads: list[float], horizon_s: float, growth: float
) -> None:
    config, state = ForecastConfig(max_growth=growth, bin_s=60), ForecastState()
    for step, load in enumerate(loads):
        state = observed(config, state, 30.0 * step, load)
        expected, state = forecast(config, state, 30.0 * step, horizon_s)
        assert expected <= growth * max(loads[: step + 1]) * (1 + 1e-9)


def test_expects_the_morning_after_seeing_one() -> None:
    state, now_s = learnt(1.25), 1.25 * DAY_S  # Friday, 6 o'clock
    expected, _ = forecast(CONFIG, state, now_s, HOUR_S)
    assert expected == pytest.approx(hourly_load(now_s + HOUR_S), rel=0.1)


def test_distinguishes_weekends_from_working_days_after_one_week() -> None:
    state, now_s = learnt(9.25), 9.25 * DAY_S  # the second Saturday
    assert forecast(CONFIG, state, now_s, HOUR_S)[0] == pytest.approx(hourly_load(now_s + HOUR_S), rel=0.1)


def test_load_above_the_season_is_expected_to_stay_above_it() -> None:
    state, now_s = learnt(3), 3 * DAY_S
    for step in range(120):
        state = observed(CONFIG, state, now_s + 60 * step, 2 * hourly_load(now_s + 60 * step))
    later_s = now_s + 7200
    assert forecast(CONFIG, state, later_s, 300)[0] == pytest.approx(2 * hourly_load(later_s + 300), rel=0.2)


def test_forecast_band_widens_after_wrong_forecasts() -> None:
    random, config = np.random.default_rng(1), ForecastConfig(band=1)
    states = [ForecastState(), ForecastState()]
    for time_s in range(0, 3600, 5):
        for index, spread in enumerate((0.0, 0.5)):
            load = 500 * math.exp(spread * random.standard_normal())
            states[index] = observed(config, states[index], time_s, load)
            _, states[index] = forecast(config, states[index], time_s, 60)
    calm, wild = (state.variance for state in states)
    assert calm < 1e-3
    assert 0.1 < wild < 0.6


def test_second_load_at_the_same_time_is_ignored() -> None:
    state = learnt(0.01)
    assert state.last_s is not None
    assert observed(CONFIG, state, state.last_s, 9999.0) == state


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e12)), max_size=30), st.floats(1, 1e5))
def test_forecast_is_finite_for_any_series(series: list[tuple[float, float]], horizon_s: float) -> None:
    state, now_s = ForecastState(), 0.0
    for pause_s, load in series:
        now_s += pause_s
        state = observed(ForecastConfig(), state, now_s, load)
        value, state = forecast(ForecastConfig(), state, now_s, horizon_s)
        assert 0 <= value < math.inf
        assert len(state.awaited) <= 10
    json.dumps(dataclasses.asdict(state), allow_nan=False)


def seasonal(config: ForecastConfig, state: ForecastState, now_s: float, horizon_s: float) -> float | None:
    """Return the highest of four forecasts, by the seasonal table alone. None if the table lacks one of the times."""

    def seen(time_s: float) -> float | None:
        days = (time_s - day * DAY_S for day in range(7))
        loads = (state.season[int((at_s % (7 * DAY_S)) // config.bin_s)] for at_s in days)
        return next((load for load in loads if load >= 0), None)

    def usual(time_s: float) -> float | None:
        bin_position = time_s / config.bin_s - 0.5
        first = math.floor(bin_position)
        before, after = seen(first * config.bin_s), seen((first + 1) * config.bin_s)
        return (
            None
            if before is None or after is None
            else (1 - bin_position + first) * before + (bin_position - first) * after
        )

    now = usual(now_s)
    values: list[float] = []
    for part in (0.25, 0.5, 0.75, 1.0):
        then = usual(now_s + part * horizon_s)
        if now is None or now <= 0 or then is None:
            return None
        ratio = min(max(state.fast / now, 0.25), 4.0)
        values.append(then * math.pow(ratio, math.exp(-part * horizon_s / config.fade_s)))
    return max(values)


@given(
    st.lists(st.just(-1.0) | st.floats(1, 1e6), min_size=168, max_size=168),
    st.floats(0, 30 * DAY_S),
    st.floats(1, 2 * DAY_S),
    st.floats(0, 1e6),
)
def test_unknown_bins_use_the_same_time_of_an_earlier_day(
    season: list[float], now_s: float, horizon_s: float, load: float
) -> None:
    config = ForecastConfig(band=0, bin_s=3600)
    state = ForecastState(season=tuple(season), fast=load, slow=load, highest=1e9)
    expected = seasonal(config, state, now_s, horizon_s)
    predicted, _ = forecast(config, state, now_s, horizon_s)
    assert expected is None or predicted == pytest.approx(expected, rel=1e-6)
