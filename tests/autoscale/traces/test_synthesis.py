"""Synthesised traces: shape, bursts and request counts."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.traces.measured_series import Bursts, read_bursts, read_hires
from autoscale.traces.synthesis import DAY_S, Shape, synthesise
from cli.autoscale.data import HIRES, PURCHASES
from models.datasets.wheels import locate

Days = dict[date, NDArray[np.float64]]
MONDAY = date(2019, 6, 3)
BURSTS = Bursts(cv=1.0, correlation_s=180.0)


@pytest.fixture(name="days", scope="module")
def _days() -> Days:
    return {MONDAY: np.arange(24.0), date(2019, 6, 4): np.full(24, 5.0)}


def test_real_hires_are_complete_days() -> None:
    days = read_hires(locate(HIRES))
    assert len(days) > 3000
    assert days[MONDAY].argmax() in (8, 17, 18)  # people go to work and home


def test_purchases_fluctuate_within_minutes() -> None:
    bursts = read_bursts(locate(PURCHASES))
    assert 0.5 < bursts.cv < 2
    assert 60 < bursts.correlation_s < 600


@pytest.mark.parametrize("shape", ["hires", "walks"])
def test_days_have_the_wanted_number_of_requests(days: Days, shape: Shape) -> None:
    counts = synthesise(days, MONDAY, 2, BURSTS, shape=shape, requests_per_day=1e6)
    assert len(counts) == 2 * 1440
    assert counts.requests.sum() == pytest.approx(2e6, rel=0.01)
    assert counts.end_s == 2 * DAY_S


def test_walks_have_peaks_at_lunch_and_in_the_evening() -> None:
    flat = {MONDAY: np.ones(24)}
    counts = synthesise(flat, MONDAY, 1, BURSTS, shape="walks", requests_per_day=1e6, burstiness=0.0)
    hourly = counts.requests.reshape(24, 60).sum(axis=1)
    assert hourly[12] > 1.5 * hourly[15]
    assert hourly[18] > 1.5 * hourly[15]
    assert hourly[3] < 0.1 * hourly[18]


def test_burstiness_sets_the_coefficient_of_variation() -> None:
    flat = {MONDAY: np.ones(24)}

    def cv(burstiness: float) -> float:
        counts = synthesise(flat, MONDAY, 1, BURSTS, requests_per_day=1e9, burstiness=burstiness)
        return float(counts.requests.std() / counts.requests.mean())

    assert cv(0.0) < 0.01
    assert cv(0.3) == pytest.approx(0.3, rel=0.2)


def test_rejects_days_and_numbers_out_of_range(days: Days, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"must be days in the series, .*, got 2019-06-05"):
        synthesise(days, MONDAY, 3, BURSTS, requests_per_day=1e6)
    with pytest.raises(TraceError, match="burstiness: must be from 0 to 3, got -1"):
        synthesise(days, MONDAY, 1, BURSTS, requests_per_day=1e6, burstiness=-1)
    with pytest.raises(TraceError, match="step_s: must divide a day, got 7"):
        synthesise(days, MONDAY, 1, BURSTS, requests_per_day=1e6, step_s=7)
    with pytest.raises(TraceError, match="not a table of hourly hires"):
        read_hires(tmp_path / "absent.csv")
    with pytest.raises(TraceError, match="not a table of purchases"):
        read_bursts(tmp_path / "absent.csv.xz")
