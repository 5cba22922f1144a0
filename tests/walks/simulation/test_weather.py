from pathlib import Path

import numpy as np
import pytest

from walks.errors import BadSeriesError
from walks.simulation.weather import AHEAD_DAYS, COLUMNS, PERIOD_END, PRESENT_S, read_weather
from walks.sources import WEATHER, locate

HEADER = ",".join(COLUMNS)
END = np.datetime64("2018-01-13")
WHOLE = 24 * (12 + AHEAD_DAYS)


def write_series(path: Path, hours: int, changes: dict[int, str] | None = None) -> Path:
    """Write hours from 2018-01-01 (a Monday) at 280 K without rain. `changes` replaces or drops lines."""
    start = np.datetime64("2018-01-01T00", "h")
    lines = [f"None,280.0,0.0,Clear,{str(start + hour).replace('T', ' ')}:00:00,100" for hour in range(hours)]
    for hour, line in (changes or {}).items():
        lines[hour] = line
    path.write_text("\n".join([HEADER, *filter(None, lines)]) + "\n")
    return path


def test_real_series_is_complete_and_plausible() -> None:
    weather = read_weather(locate(WEATHER), 365)
    assert weather.hours == (365 + AHEAD_DAYS) * 24
    assert str(weather.start) == "2017-09-24"
    assert weather.end_s == PERIOD_END.astype("datetime64[s]").astype(int) == PRESENT_S - 12 * 3600
    for values in (weather.temperature_c, weather.rain_mm, weather.traffic):
        assert np.isfinite(values).all()
    assert 30.0 < weather.temperature_c.max() < 40.0
    assert weather.temperature_c.min() < -20.0
    assert weather.rain_mm.min() == 0.0
    assert 0.05 < weather.snowing.mean() < 0.2
    assert weather.snowing[weather.temperature_c > 8.0].sum() == 0
    assert weather.holiday.sum() / 24 == 11


def test_ahead_takes_the_following_hours_and_lately_the_preceding_ones(tmp_path: Path) -> None:
    weather = read_weather(write_series(tmp_path / "s.csv", WHOLE), 10, END)
    series = np.arange(weather.hours, dtype=np.float32)
    assert weather.ahead(series, 3)[5].tolist() == [6.0, 7.0, 8.0]
    assert weather.ahead(series, 3)[-2].tolist() == [series[-1]] * 3
    assert weather.sum_over_last(series, 3)[[0, 1, 5]].tolist() == [0.0, 1.0, 12.0]
    assert weather.hour_of(np.array([weather.start_s, weather.start_s + 7199.0])).tolist() == [0, 1]


def test_weekdays_follow_the_calendar(tmp_path: Path) -> None:
    weather = read_weather(write_series(tmp_path / "s.csv", WHOLE), 10, END)
    first = (weather.start.astype("datetime64[D]") - np.datetime64("2018-01-01")).astype(int)
    assert weather.weekday()[0] == first % 7
    assert np.array_equal(weather.weekday()[::24], (first + np.arange(17)) % 7)


def test_fills_gaps_and_absurd_values_from_the_hour_before(tmp_path: Path) -> None:
    # Days 2 to 11 of 13 are read, so hour 0 is line 48.
    def line(hour: int, kelvin: str, rain: str) -> str:
        return f"None,{kelvin},{rain},Clear,2018-01-0{3 + hour // 24} {hour % 24:02d}:00:00,100"

    changes = {50: line(2, "290.15", "1.5"), 51: "", 52: line(4, "0.0", "9831.3"), 53: line(5, "nan", "0.0")}
    weather = read_weather(write_series(tmp_path / "s.csv", WHOLE, changes), 10, END)
    assert weather.temperature_c[2:6] == pytest.approx([17.0, 17.0, 17.0, 17.0], abs=1e-3)
    assert weather.rain_mm[2:6] == pytest.approx([1.5, 1.5, 1.5, 0.0])


def test_a_holiday_lasts_all_day(tmp_path: Path) -> None:
    changes = {72: "Labor Day,280.0,0.0,Clear,2018-01-04 00:00:00,100"}
    weather = read_weather(write_series(tmp_path / "s.csv", WHOLE, changes), 10, END)
    assert np.flatnonzero(weather.holiday).tolist() == list(range(24, 48))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({100: "None,warm,0.0,Clear,2018-01-05 04:00:00,100"}, "not a number or time"),
        ({100: "None,280.0,0.0,Cle"}, r"line 1\d\d is incomplete; install its wheel again"),
        ({100: "None,280.0,0.0,Clear,,100"}, "without a date_time"),
        (dict.fromkeys(range(60, 264), ""), "is missing for 50%"),
        (
            {
                hour: f"None,nan,0.0,Clear,2018-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00,1"
                for hour in range(60, 200)
            },
            "temp is missing for",
        ),
    ],
)
def test_rejects_a_bad_series(tmp_path: Path, changes: dict[int, str], message: str) -> None:
    with pytest.raises(BadSeriesError, match=message):
        read_weather(write_series(tmp_path / "s.csv", WHOLE, changes), 10, END)


def test_rejects_files_that_are_too_short_or_have_wrong_columns(tmp_path: Path) -> None:
    with pytest.raises(BadSeriesError, match="fewer than the 37 days"):
        read_weather(write_series(tmp_path / "s.csv", WHOLE), 30, END)
    with pytest.raises(BadSeriesError, match="fewer than the 17 days"):
        read_weather(write_series(tmp_path / "s.csv", WHOLE - 1), 10, END)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadSeriesError, match=r"lacks the columns.*rain_1h"):
        read_weather(tmp_path / "other.csv", 10, END)
    (tmp_path / "empty.csv").write_text(HEADER + "\n")
    with pytest.raises(BadSeriesError, match="fewer than"):
        read_weather(tmp_path / "empty.csv", 10, END)


def test_rejects_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(BadSeriesError, match=r"is not a CSV file.*install its wheel again"):
        read_weather(tmp_path / "s.csv", 10, END)
