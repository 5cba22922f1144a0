"""From a file of shown lists to trained rankers, whose quality is that of the shown lists."""

from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.new import new
from models.artifact import Artifact
from tests.cli.test_new import run as run_new
from tests.cli.test_train import run as train
from tests.models.datasets.files.shown import shown_rows
from tests.models.datasets.files.tables import write

SMALL = {"size": {"width": 16, "heads": 2, "layers": 1, "hidden": 16}, "fit": {"epochs": 1}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data home and current folder with shown lists and items."""
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    rows = shown_rows()
    write(tmp_path / "shown.csv", rows)
    items = sorted(set(rows["item_id"]))
    write(tmp_path / "items.csv", {"item_id": items, "third": [int(item[1:]) % 3 for item in items]})
    return tmp_path


@pytest.mark.parametrize("kind", ["history", "lightgbm"])
def test_rankers_learn_from_shown_lists(folder: Path, kind: str) -> None:
    app = typer.Typer()
    app.command()(new)
    result = CliRunner().invoke(app, ["shop", "--impressions", "shown.csv", "--items", "items.csv"])
    assert result.exit_code == 0, result.stderr
    pipeline = yaml.safe_load((folder / "shop.yaml").read_text())
    training = pipeline["training"]
    assert "over_catalogue" not in training
    training["ranker"] = (
        training["ranker"] | SMALL if kind == "history" else {"kind": kind, "trees": 20, "min_rows": 5}
    )
    (folder / "shop.yaml").write_text(yaml.safe_dump(pipeline))
    code, _, errors = train("shop.yaml")
    assert code == 0, errors
    metrics = Artifact.read(folder / "shop/models/ranker").metrics
    if kind == "lightgbm":
        assert metrics["ndcg_at_10"] > metrics["random_ndcg_at_10"] + 0.2


def test_roles_are_found_and_reported_and_the_list_is_named(folder: Path) -> None:
    code, _, errors = run_new("shop", "--impressions", "shown.csv")
    assert code == 0, errors
    assert 'named "request_id", 120 ids in 720 rows' in errors
    rows = shown_rows()
    del rows["request_id"]
    write(folder / "shown.csv", rows)
    _, _, errors = run_new("other", "--impressions", "shown.csv")
    assert "no column has the id of the list; the rows of one user at one time are one list" in errors


def test_lists_in_columns_are_found(folder: Path) -> None:
    lists: dict[str, list[Any]] = {
        "query": [f"q{n}" for n in range(30)], "user": [f"u{n % 5}" for n in range(30)],
        "time": [1_600_000_000 + n for n in range(30)], "items": [[f"i{n % 7}", f"i{n % 5 + 7}"] for n in range(30)],
        "clicks": [[n % 2, 0] for n in range(30)],
    }  # fmt: skip
    write(folder / "lists.parquet", lists)
    code, _, errors = run_new("shop", "--impressions", "lists.parquet")
    assert code == 0, errors
    found = yaml.safe_load((folder / "shop.yaml").read_text())["training"]["events"]["impressions"]
    assert found == {"list": "query", "user": "user", "item": "items", "time": "time", "label": "clicks"}


def test_kinds_of_impressions_are_never_guessed(folder: Path) -> None:
    rows = shown_rows()
    rows["kind"] = ["click" if label else "view" for label in rows.pop("label")]
    write(folder / "kinds.csv", rows)
    code, _, errors = run_new("shop", "--impressions", "kinds.csv")
    assert code == 2
    assert "which kinds of click, view are reactions is unknown" in errors
    assert "such as --kind click=1" in errors
    assert run_new("shop", "--impressions", "kinds.csv", "--kind", "click=0.4")[0] == 0
    found = yaml.safe_load((folder / "shop.yaml").read_text())["training"]["events"]["impressions"]
    assert found["kinds"] == {"click": 0.4, "view": 0.0}


def test_labels_above_one_are_grades(folder: Path) -> None:
    rows = shown_rows()
    rows["label"] = [4 * label for label in rows["label"]]
    write(folder / "grades.csv", rows)
    code, _, errors = run_new("shop", "--impressions", "grades.csv")
    assert code == 0, errors
    assert "the labels are from 0 to 4; 4 means the relevance 1" in errors
    assert (
        yaml.safe_load((folder / "shop.yaml").read_text())["training"]["events"]["impressions"]["highest"]
        == 4.0
    )
