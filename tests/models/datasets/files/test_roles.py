from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from models.datasets.files.names import words_of
from models.datasets.files.problems import BadRows
from models.datasets.files.profiles import profile_of, sample_of
from models.datasets.files.roles import Guess, guess_events, unsure
from models.datasets.files.tables import open_table
from models.errors import ArtifactError
from tests.models.datasets.files.tables import Columns, shop_events, write


def guesses(path: Path, **named: str) -> dict[str, Guess]:
    sample = sample_of(open_table(str(path)), BadRows())
    profiles = [profile_of(name, sample.column(name)) for name in sample.column_names]
    return {guess.role: guess for guess in guess_events(profiles, named) if guess.role != "-"}


def renamed(**names: str) -> dict[str, list[Any]]:
    """Return the events with new names for user, item, timestamp and rating."""
    return {names.get(old.partition("_")[0], old): column for old, column in shop_events().items()}


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        ({}, {"user": "user_id", "item": "item_id", "time": "timestamp", "value": "rating"}),
        (
            {"user": "CustomerID", "item": "StockCode", "timestamp": "InvoiceDate", "rating": "Quantity"},
            {"user": "CustomerID", "item": "StockCode", "time": "InvoiceDate", "value": "Quantity"},
        ),
        (
            {"user": "visitorid", "item": "itemid", "timestamp": "ts", "rating": "stars"},
            {"user": "visitorid", "item": "itemid", "time": "ts", "value": "stars"},
        ),
        (
            {"user": "reviewerID", "item": "asin", "timestamp": "unixReviewTime", "rating": "overall"},
            {"user": "reviewerID", "item": "asin", "time": "unixReviewTime"},
        ),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_columns_of_well_known_sets_are_understood(
    tmp_path: Path, name: str, names: dict[str, str], roles: dict[str, str]
) -> None:
    found = guesses(write(tmp_path / name, renamed(**names)))
    assert {role: guess.column for role, guess in found.items()} == roles
    assert all(guess.is_sure and guess.reason for guess in found.values())


def test_two_columns_that_fit_equally_well_are_no_sure_guess(tmp_path: Path) -> None:
    events = shop_events()
    path = write(tmp_path / "a.csv", {**events, "customer_id": events["user_id"]})
    found = guesses(path)
    assert not found["user"].is_sure
    assert "fits too" in found["user"].reason
    assert unsure(list(found.values())) == ["user"]
    assert guesses(path, user="customer_id")["user"].is_sure


def test_columns_without_telling_names_are_never_guessed(tmp_path: Path) -> None:
    found = guesses(write(tmp_path / "a.csv", renamed(user="a", item="b", timestamp="c", rating="d")))
    assert unsure(list(found.values())) == ["user", "item", "time"]


def test_an_id_of_the_event_is_no_user(tmp_path: Path) -> None:
    events = shop_events()
    columns: Columns = {**events, "session": list(range(len(events["user_id"])))}
    assert guesses(write(tmp_path / "a.csv", columns))["user"].column == "user_id"
    del columns["user_id"]  # type: ignore[attr-defined]
    assert not guesses(write(tmp_path / "a.csv", columns))["user"].is_sure


def test_dates_that_can_be_read_in_two_ways_are_no_sure_guess(tmp_path: Path) -> None:
    events = shop_events()
    days = [f"0{n % 9 + 1}/0{n % 7 + 1}/2020 10:00" for n in range(len(events["user_id"]))]
    found = guesses(write(tmp_path / "a.csv", {**events, "timestamp": days}))
    assert not found["time"].is_sure
    assert "%d/%m/%Y" in found["time"].reason


def test_kinds_are_few_texts(tmp_path: Path) -> None:
    events = shop_events()
    count = len(events["user_id"])
    kinds = ["view", "cart", "purchase"] * count
    found = guesses(write(tmp_path / "a.csv", {**events, "event_type": kinds[:count]}))
    assert found["kind"].column == "event_type"
    many = [f"k{n}" for n in range(count)]
    assert "kind" not in guesses(write(tmp_path / "a.csv", {**events, "event_type": many}))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"user": "nobody"}, "no such column; name one of user_id"),
        ({"shop": "user_id"}, "unknown role, got 'shop'"),
        ({"time": "user_id"}, "its values are no times"),
        ({"time": "-"}, "the role is needed"),
    ],
)
def test_named_columns_are_checked(tmp_path: Path, named: dict[str, str], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        guesses(write(tmp_path / "a.csv", shop_events()), **named)


def test_a_role_can_be_left_out(tmp_path: Path) -> None:
    assert "value" not in guesses(write(tmp_path / "a.csv", shop_events()), value="-")


def test_words_of_a_name_do_not_depend_on_its_style() -> None:
    assert words_of("CustomerID") == words_of("customer_id") == words_of("Customer ID") == ["customer", "id"]


def test_a_sample_of_a_folder_has_rows_of_the_first_and_the_last_file(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    for number in range(3):
        write(folder / f"{number}.parquet", {"user_id": [number] * 5})
    sample = sample_of(open_table(str(folder)), BadRows())
    assert sample.column("user_id") == pa.chunked_array([[0] * 5 + [2] * 5])
