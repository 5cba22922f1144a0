"""From a file of items to a ranker: popular items first, a log of reactions, and training from this log."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from cli.main import root
from models.features.catalogue import Catalogue
from services.app import StandaloneApp
from tests.cli.test_build import run as build
from tests.cli.test_new import run as new
from tests.cli.test_train import run as train
from tests.models.datasets.files.tables import write
from tests.services.servers import ask, http_request, http_server, rank_request

ITEMS = [f"i{number:02}" for number in range(60)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data home and current folder with items. The most sold ones are in the middle of the file."""
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sold = [None if number == 3 else -abs(number - 30) for number in range(len(ITEMS))]
    write(
        tmp_path / "items.csv", {"item_id": ITEMS, "third": [n % 3 for n in range(len(ITEMS))], "sold": sold}
    )
    return tmp_path


def popularity(folder: Path) -> dict[str, float]:
    """Return the popularity in the catalogue by id."""
    catalogue = Catalogue.open(folder / "shop/data/catalogue")
    return dict(zip(catalogue.ids, catalogue.columns["popularity"].tolist(), strict=True))


def test_items_are_popular_in_the_order_of_the_file_or_of_a_column(folder: Path) -> None:
    assert new("shop", "--items", "items.csv")[0] == 0
    code, _, errors = build("shop.yaml")
    assert code == 0, errors
    assert "0 events" in errors
    found = popularity(folder)
    assert sorted(ITEMS, key=lambda item: -found[item]) == ITEMS
    assert new("shop", "--items", "items.csv", "--column", "items.popularity=sold", "--force")[0] == 0
    assert build("shop.yaml")[0] == 0
    found = popularity(folder)
    assert max(found, key=lambda item: found[item]) == "i30"
    assert min(found, key=lambda item: found[item]) == "i03", "an item without a number is the least popular"
    assert found["i29"] == found["i31"]


def test_new_items_do_not_change_the_definitions_with_which_the_log_was_made(folder: Path) -> None:
    place: dict[str, Sequence[Any]] = {
        "item_id": ITEMS,
        "lat": np.linspace(60, 60.2, 60).tolist(),
        "lon": np.linspace(24.9, 25.2, 60).tolist(),
    }
    write(folder / "items.csv", place)
    assert new("shop", "--items", "items.csv")[0] == 0
    assert build("shop.yaml")[0] == 0
    before = Catalogue.open(folder / "shop/data/catalogue").manifest
    added = {"item_id": "new", "lat": 60.3, "lon": 25.2}
    write(folder / "items.csv", {name: [*values, added[name]] for name, values in place.items()})
    assert build("shop.yaml")[0] == 0
    after = Catalogue.open(folder / "shop/data/catalogue").manifest
    assert after.item_count == before.item_count + 1
    assert after.feature_hash == before.feature_hash


def test_the_log_of_popular_lists_trains_a_ranker_that_is_served(folder: Path) -> None:
    assert new("shop", "--items", "items.csv", "--kind", "click=0.2")[0] == 0
    for name in ("shop", "shop-ranked"):
        pipeline = yaml.safe_load(Path(f"{name}.yaml").read_text())
        pipeline["training"]["ranker"] |= {"trees": 5, "min_rows": 5}
        Path(f"{name}.yaml").write_text(yaml.safe_dump(pipeline))
    assert build("shop.yaml")[0] == 0
    code, _, errors = train("shop-ranked.yaml")
    assert code == 2
    assert "log.path: no shown lists yet" in errors
    with http_server(StandaloneApp(Path("shop.yaml"))) as port:
        for number in range(40):
            request: dict[str, Any] = {"user_id": f"u{number}", "context": {"now_s": time.time()}, "k": 20}
            if number % 4 == 0:
                new_item = {"id": f"n{number}", "features": {"popularity": 50.0}}
                request["candidates"] = [*ITEMS[:18], {"id": "i20", "features": {"third": 1}}, new_item]
            answer = ask(port, rank_request(request)).json
            assert answer["degraded"] is None
            shown = [item["id"] for item in answer["items"]]
            assert len(set(shown)) == 20
            assert [item["score"] for item in answer["items"]] == sorted(
                (item["score"] for item in answer["items"]), reverse=True
            )
            liked = next(item for item in shown if int(item[1:]) % 3 == 0)
            event = {"request_id": answer["request_id"], "item_id": liked, "event": "click"}
            body = json.dumps(event).encode()
            assert ask(port, http_request("POST", "/v1/feedback", body)).status == 202
    code, _, errors = train("shop-ranked.yaml")
    assert code == 0, errors
    assert "popularity" in errors
    arguments = ["features", "export", "shop-ranked.yaml", "vectors"]
    assert CliRunner().invoke(root(arguments), arguments).exit_code == 0
    exported = pq.read_table(folder / "vectors/train.parquet").to_pydict()
    values = set(zip(exported["item"], exported["item.popularity"], strict=True))
    assert ("n4", 50.0) in values
    with http_server(StandaloneApp(Path("shop-ranked.yaml"))) as port:
        answer = ask(port, rank_request({"user_id": "u1", "k": 5})).json
    assert answer["degraded"] is None
    assert answer["models"]["ranker"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--users", "items.csv"], "--events: missing; name events, impressions or items"),
        (["--items", "items.csv", "--column", "items.popularity=none"], "no such column"),
        (["--items", "items.csv", "--column", "user=item_id"], "there is no file of events"),
    ],
)
def test_what_cannot_be_a_start_is_refused(folder: Path, arguments: list[str], message: str) -> None:
    code, _, errors = new("shop", *arguments)
    assert code == 2
    assert message in errors
    assert sorted(path.name for path in folder.iterdir()) == ["items.csv"]
