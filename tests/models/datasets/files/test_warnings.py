from pathlib import Path
from typing import Any

import pytest

from models.datasets.files.problems import BadRows
from models.datasets.files.profiles import profile_of, sample_of
from models.datasets.files.tables import open_table
from models.datasets.files.warnings import event_warnings, personal_data
from models.datasets.time_format import TimeFormat
from tests.models.datasets.files.tables import shop_events, write

ROLES = {"user": "user_id", "item": "item_id", "time": "timestamp"}


def warnings(path: Path, form: TimeFormat = TimeFormat()) -> str:  # noqa: B008
    sample = sample_of(open_table(str(path)), BadRows())
    profiles = {name: profile_of(name, sample.column(name)) for name in sample.column_names}
    return "\n".join(
        [*personal_data(list(profiles.values()), "events"), *event_warnings(sample, profiles, ROLES, form)]
    )


def test_clean_events_have_no_warnings(tmp_path: Path) -> None:
    assert warnings(write(tmp_path / "a.csv", shop_events())) == ""


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("contact", "ann{}@example.com", "e-mail addresses"),
        ("source", "10.0.0.{}", "IP addresses"),
        ("number", "+358 40 1234 {}", "telephone numbers"),
        ("date_of_birth", "1980-01-0{}", "dates of birth"),
        ("LastName", "Virtanen{}", "names of people"),
    ],
)
def test_columns_that_look_like_personal_data_are_named(
    tmp_path: Path, column: str, values: str, what: str
) -> None:
    events = shop_events()
    added = [values.format(n % 9 + 1) for n in range(len(events["user_id"]))]
    found = warnings(write(tmp_path / "a.csv", {**events, column: added}))
    assert f"column {column} looks like personal data ({what})" in found


def test_bots_duplicates_future_and_missing_times_are_counted(tmp_path: Path) -> None:
    events: dict[str, list[Any]] = shop_events()
    count = 3000
    bot = {
        "user_id": ["crawler"] * count,
        "item_id": ["i01"] * count,
        "timestamp": [*range(1_100_000_000, 1_100_000_000 + count - 3), 0, 4_000_000_000, 4_000_000_000],
        "rating": [1.0] * count,
    }
    path = write(tmp_path / "a.parquet", {name: [*events[name], *bot[name]] for name in events})
    found = warnings(path)
    assert "1 users have over 100 times the median" in found
    assert "crawler (3,000)" in found
    assert "2 of" in found
    assert "in the future" in found
    assert "before 1971" in found
    assert "have the user, item and time of another one" in found


def test_naive_times_and_days_are_named(tmp_path: Path) -> None:
    events = shop_events()
    days = [f"2020-01-{n % 28 + 1:02}" for n in range(len(events["user_id"]))]
    found = warnings(write(tmp_path / "a.csv", {**events, "timestamp": days}))
    assert "its times have no time zone; they are read as UTC" in found
    assert "all times are at midnight" in found
