"""From event files to a trained, checked pipeline whose feature store knows the users."""

from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.check import check
from cli.new import new
from models.features.definition import FeatureSet
from models.features.rows import UserRowCodec, row_key
from services.stores.lmdb import LmdbStore
from tests.cli.test_train import run as train
from tests.models.datasets.files.tables import shop_events, write


def test_events_items_and_users_become_a_served_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    events = shop_events()
    items, users = sorted(set(events["item_id"])), sorted(set(events["user_id"]))
    write(tmp_path / "events.parquet", events)
    write(tmp_path / "items.jsonl", {"item_id": items, "price": list(range(len(items))), "title": items})
    write(tmp_path / "users.csv", {"user_id": users, "age": range(len(users))})
    app = typer.Typer()
    app.command()(new)
    arguments = ["shop", "--events", "events.parquet", "--items", "items.jsonl", "--users", "users.csv"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    path = tmp_path / "shop.yaml"
    pipeline = yaml.safe_load(path.read_text())
    pipeline["training"]["ranker"] |= {
        "size": {"width": 16, "heads": 2, "layers": 1, "hidden": 16},
        "fit": {"epochs": 1},
    }
    path.write_text(yaml.safe_dump(pipeline))
    code, _, errors = train(str(path))
    assert code == 0, errors
    assert ": trained" in errors
    checked = typer.Typer()
    checked.command()(check)
    result = CliRunner().invoke(checked, [str(path)])
    assert result.exit_code == 0, result.output

    features = FeatureSet.model_validate(yaml.safe_load((tmp_path / "shop/data/features.yaml").read_text()))
    store = LmdbStore(tmp_path / "shop" / "users")
    try:
        (row,) = store.read_many([row_key("user", users[3].encode())]).rows
    finally:
        store.close()
    columns = UserRowCodec(features).decode([row]).columns
    assert columns["user.age"] == [3.0]
    assert 0 < len(columns["user.history"].values) <= len(items)  # type: ignore[union-attr]
