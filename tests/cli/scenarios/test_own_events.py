"""From event files to a trained, checked and served pipeline whose feature store knows the users."""

from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.check import check
from cli.new import new
from models.features.definition import FeatureSet
from models.features.rows import UserRowCodec, row_key
from services.app import StandaloneApp
from services.stores.lmdb import LmdbStore
from tests.cli.test_train import run as train
from tests.models.datasets.files.tables import shop_events, write
from tests.services.servers import ask, http_server, rank_request

EVENTS = shop_events()
ITEMS, USERS = sorted(set(EVENTS["item_id"])), sorted(set(EVENTS["user_id"]))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a new pipeline over event files in the data home, which is its folder."""
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "events.parquet", EVENTS)
    write(tmp_path / "items.jsonl", {"item_id": ITEMS, "price": list(range(len(ITEMS))), "title": ITEMS})
    write(tmp_path / "users.csv", {"user_id": USERS, "age": range(len(USERS))})
    app = typer.Typer()
    app.command()(new)
    arguments = ["shop", "--events", "events.parquet", "--items", "items.jsonl", "--users", "users.csv"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    return tmp_path / "shop.yaml"


def trained(path: Path, ranker: dict[str, Any]) -> None:
    """Train the pipeline with this ranker, and check it."""
    pipeline = yaml.safe_load(path.read_text())
    pipeline["training"]["ranker"] = ranker
    path.write_text(yaml.safe_dump(pipeline))
    code, _, errors = train(str(path))
    assert code == 0, errors
    assert ": trained" in errors
    checked = typer.Typer()
    checked.command()(check)
    result = CliRunner().invoke(checked, [str(path)])
    assert result.exit_code == 0, result.output


def test_events_items_and_users_become_a_served_pipeline(shop: Path) -> None:
    small = {"size": {"width": 16, "heads": 2, "layers": 1, "hidden": 16}, "fit": {"epochs": 1}}
    trained(shop, yaml.safe_load(shop.read_text())["training"]["ranker"] | small)
    data = shop.parent / "shop" / "data"
    features = FeatureSet.model_validate(yaml.safe_load((data / "features.yaml").read_text()))
    store = LmdbStore(shop.parent / "shop" / "users")
    try:
        (row,) = store.read_many([row_key("user", USERS[3].encode())]).rows
    finally:
        store.close()
    columns = UserRowCodec(features).decode([row]).columns
    assert columns["user.age"] == [3.0]
    assert 0 < len(columns["user.history"].values) <= len(ITEMS)  # type: ignore[union-attr]


def test_trees_over_own_events_rank_items_of_the_catalogue_and_new_ones(shop: Path) -> None:
    trained(shop, {"kind": "lightgbm", "trees": 5, "min_rows": 5})
    named = [ITEMS[0], {"id": "new", "features": {"price": 3}}]
    with http_server(StandaloneApp(shop, shop.parent)) as port:
        known = ask(port, rank_request({"user_id": USERS[3], "candidates": named})).json
        unknown = ask(port, rank_request({"user_id": "nobody", "candidates": named})).json
    for answer in (known, unknown):
        assert answer["degraded"] is None
        assert {item["id"] for item in answer["items"]} == {ITEMS[0], "new"}
    assert "unknown_user" not in known
    assert unknown["unknown_user"] is True
