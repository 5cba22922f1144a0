import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli.new import new
from services.config.loading import load_config
from tests.models.datasets.files.tables import shop_events, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with events, which is the current one."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "events.csv", shop_events())
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    app = typer.Typer()
    app.command()(new)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def events_of(name: str) -> Any:
    training = load_config(Path(f"{name}.yaml")).training
    assert training is not None
    assert training.events is not None
    return training.events


def test_writes_a_pipeline_that_loads_and_a_readme_with_the_next_commands(folder: Path) -> None:
    code, _, errors = run("shop", "--events", "events.csv")
    assert code == 0, errors
    assert 'named "user_id", 40 ids in' in errors
    events = events_of("shop")
    assert events.columns.model_dump(exclude_none=True) == {
        "user": "user_id", "item": "item_id", "time": "timestamp", "value": "rating"
    }  # fmt: skip
    assert events.files.events == str(folder / "events.csv")
    readme = Path("shop-README.md").read_text()
    assert "rankway build shop.yaml" in readme
    assert "| events | `user_id` | user |" in readme


def test_an_unsure_column_is_never_guessed_without_a_terminal(folder: Path) -> None:
    events = shop_events()
    write(folder / "events.csv", {**events, "customer_id": events["user_id"]})
    code, _, errors = run("shop", "--events", "events.csv")
    assert code == 2
    assert "name it with --column user=NAME" in errors
    assert not Path("shop.yaml").exists()
    assert run("shop", "--events", "events.csv", "--column", "user=customer_id")[0] == 0
    assert events_of("shop").columns.user == "customer_id"


def test_existing_files_are_kept_unless_forced(folder: Path) -> None:
    Path("shop.yaml").write_text("mine")
    code, _, errors = run("shop", "--events", "events.csv")
    assert (code, Path("shop.yaml").read_text()) == (2, "mine")
    assert "--force" in errors
    assert run("shop", "--events", "events.csv", "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shop", "--events", "none.csv"], "none.csv: no such file or folder"),
        (["Shop 1", "--events", "events.csv"], "NAME: must be lower-case letters"),
        (["shop", "--events", "events.csv", "--column", "user"], "--column: must be ROLE=NAME"),
        (["shop", "--events", "events.csv", "--column", "items.id=sku"], "there is no file of items"),
        (["shop", "--events", "events.csv", "--kind", "click=2"], "must be from 0 to 1"),
        (["shop", "--events", "events.csv", "--kind", "click=0.5"], "no event of the sample has this kind"),
        (["shop", "--events", "events.csv", "--time-zone", "Mars"], "unknown time zone"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(
    folder: Path, arguments: list[str], message: str
) -> None:
    code, _, errors = run(*arguments)
    assert code == 2
    assert message in errors
    assert sorted(path.name for path in folder.iterdir()) == ["events.csv"]


def test_mixed_zones_and_ambiguous_dates_are_asked_for(folder: Path) -> None:
    events = shop_events()
    count = len(events["user_id"])
    mixed = [f"2020-01-{n % 28 + 1:02}T10:00:00{'Z' if n % 2 else ''}" for n in range(count)]
    write(folder / "mixed.csv", {**events, "timestamp": mixed})
    assert "--time-zone" in run("shop", "--events", "mixed.csv")[2]
    assert run("shop", "--events", "mixed.csv", "--time-zone", "Europe/Helsinki")[0] == 0
    assert events_of("shop").time.zone == "Europe/Helsinki"
    days = [f"0{n % 9 + 1}/0{n % 7 + 1}/2020 10:00" for n in range(count)]
    write(folder / "days.csv", {**events, "timestamp": days})
    assert "--time-pattern" in run("days", "--events", "days.csv")[2]
    assert run("days", "--events", "days.csv", "--time-pattern", "%d/%m/%Y %H:%M")[0] == 0
    assert events_of("days").time.pattern == "%d/%m/%Y %H:%M"


def test_kinds_items_and_users_are_written(folder: Path) -> None:
    events = shop_events()
    count = len(events["user_id"])
    kinds = ["click" if n % 2 else "purchase" for n in range(count)]
    write(folder / "events.csv", {**events, "event_type": kinds})
    items, users = sorted(set(events["item_id"])), sorted(set(events["user_id"]))
    write(
        folder / "items.csv", {"item_id": items, "price": range(len(items)), "email": ["a@b.fi"] * len(items)}
    )
    write(folder / "users.csv", {"user_id": users, "age": range(len(users)), "first_name": users})
    code, _, errors = run(
        "shop", "--events", "events.csv", "--items", "items.csv", "--users", "users.csv", "--kind", "click=0.2",
        "--kind", "purchase=1",
    )  # fmt: skip
    assert code == 0, errors
    assert "column first_name looks like personal data" in errors
    found = events_of("shop")
    assert found.kinds == {"click": 0.2, "purchase": 1.0}
    assert list(found.items.features) == ["price"]
    assert list(found.users.features) == ["age"]


def test_columns_can_be_printed_as_json(folder: Path) -> None:
    code, output, _ = run("shop", "--events", "events.csv", "--json")
    assert code == 0
    assert [guess["role"] for guess in json.loads(output)["events"]] == ["user", "item", "time", "value"]
