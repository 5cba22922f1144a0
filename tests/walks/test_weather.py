from pathlib import Path

import numpy as np
import pytest

from walks.errors import BadSeriesError
from walks.sources import WEATHER, locate
from walks.weather import COLUMNS, read_weather

HEADER = ",".join(COLUMNS)


def write_series(path: Path, hours: int, changes: dict[int, str] | None = None) -> Path:
    """Hours from 2018-01-01 (a Monday) at 280 K without rain; `changes` replaces or drops lines."""
    start = np.datetime64("2018-01-01T00", "h")
    lines = [f"None,280.0,0.0,{str(start + hour).replace('T', ' ')}:00:00,100" for hour in range(hours)]
    for hour, line in (changes or {}).items():
        lines[hour] = line
    path.write_text("\n".join([HEADER, *filter(None, lines)]) + "\n")
    return path


def test_the_real_series_is_whole_and_plausible() -> None:
    weather = read_weather(locate(WEATHER), 180)
    assert weather.hours == 180 * 24
    assert str(weather.start) == "2018-04-03"
    for values in (weather.temperature_c, weather.rain_mm, weather.traffic):
        assert np.isfinite(values).all()
    assert 30.0 < weather.temperature_c.max() < 40.0
    assert weather.rain_mm.min() == 0.0
    assert 2 <= weather.holiday.sum() / 24 <= 8


def test_weekdays_follow_the_calendar(tmp_path: Path) -> None:
    weather = read_weather(write_series(tmp_path / "s.csv", 24 * 13), 10)
    first = (weather.start.astype("datetime64[D]") - np.datetime64("2018-01-01")).astype(int)
    assert weather.weekday()[0] == first % 7
    assert np.array_equal(weather.weekday()[::24], (first + np.arange(10)) % 7)


def test_gaps_and_absurd_values_take_the_hour_before(tmp_path: Path) -> None:
    # days 2 to 11 of 13 are read: hour 0 is line 48
    def line(hour: int, kelvin: str, rain: str) -> str:
        return f"None,{kelvin},{rain},2018-01-0{3 + hour // 24} {hour % 24:02d}:00:00,100"

    changes = {50: line(2, "290.15", "1.5"), 51: "", 52: line(4, "0.0", "9831.3"), 53: line(5, "nan", "0.0")}
    weather = read_weather(write_series(tmp_path / "s.csv", 24 * 12 + 1, changes), 10)
    assert weather.temperature_c[2:6] == pytest.approx([17.0, 17.0, 17.0, 17.0], abs=1e-3)
    assert weather.rain_mm[2:6] == pytest.approx([1.5, 1.5, 1.5, 0.0])


def test_a_holiday_lasts_all_day(tmp_path: Path) -> None:
    changes = {72: "Labor Day,280.0,0.0,2018-01-04 00:00:00,100"}
    weather = read_weather(write_series(tmp_path / "s.csv", 24 * 12 + 1, changes), 10)
    assert np.flatnonzero(weather.holiday).tolist() == list(range(24, 48))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({100: "None,warm,0.0,2018-01-05 04:00:00,100"}, "no number or time"),
        (dict.fromkeys(range(60, 180), ""), "lacks 50%"),
        (
            {
                hour: f"None,nan,0.0,2018-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00,1"
                for hour in range(60, 200)
            },
            "temp lacks",
        ),
    ],
)
def test_a_bad_series_is_refused(tmp_path: Path, changes: dict[int, str], message: str) -> None:
    with pytest.raises(BadSeriesError, match=message):
        read_weather(write_series(tmp_path / "s.csv", 24 * 12 + 1, changes), 10)


def test_too_short_or_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSeriesError, match="fewer than the 30 days"):
        read_weather(write_series(tmp_path / "s.csv", 24 * 12), 30)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadSeriesError, match=r"lacks the columns.*rain_1h"):
        read_weather(tmp_path / "other.csv", 10)
    (tmp_path / "empty.csv").write_text(HEADER + "\n")
    with pytest.raises(BadSeriesError, match="fewer than"):
        read_weather(tmp_path / "empty.csv", 10)
