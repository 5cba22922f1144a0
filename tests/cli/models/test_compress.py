"""``rankway models compress``: a recipe from the command line, its output, and its errors."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.models.compress import compress
from tests.models.compress.homes import PIPELINE, install_noise, recipe_document, write_home


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_home(tmp_path_factory.mktemp("compress"))


@pytest.fixture
def home(made_home: Path, monkeypatch: pytest.MonkeyPatch, site: Path) -> Path:
    install_noise(site)
    monkeypatch.setenv("RANKWAY_HOME", str(made_home))
    monkeypatch.chdir(made_home)
    return made_home


def run(home: Path, *arguments: str, **fields: Any) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    path = home / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe_document(**fields)))
    app = typer.Typer()
    app.command()(compress)
    result = CliRunner().invoke(app, [str(path), *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_prints_the_table_and_then_the_report_as_json(home: Path) -> None:
    steps = ["noise", {"kind": "noise", "gate": {"min_speedup": 1000}}]
    code, output, errors = run(home, steps=steps)
    assert code == 0, errors
    assert "main/01-noise" in output
    assert re.search(
        r"main/02-noise +main/01-noise +rejected .*\n +rejected: .* min_speedup is 1000\n", output
    )
    assert "steps: 2 of 2, main/02-noise" in errors
    code, output, errors = run(home, "--json", steps=steps)
    assert code == 0, errors
    report = json.loads(output)
    assert [row["state"] for row in report["rows"]] == ["accepted", "accepted", "rejected"]
    assert report == json.loads((home / "compressed" / "report.json").read_text())
    assert report["rows"][0]["path"] == "models/ranker"
    version = report["rows"][0]["version"]
    assert [path.name for path in (home / "compressed" / ".original").iterdir()] == [version]


def test_failed_step_is_an_error_after_the_others_have_run(home: Path) -> None:
    code, output, errors = run(home, out="failing", steps=[{"kind": "noise", "outcome": "training"}, "noise"])
    assert code == 1
    assert "error: main/01-noise: noise.scale: must be smaller" in errors
    assert "main/02-noise" in output


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"model": "rank"},
            "model: unknown model of pipeline small, got 'rank'; name one of distilled, ranker",
        ),
        ({"pipeline": "other.yaml"}, "other.yaml: cannot be read"),
        ({"out": "models/ranker"}, "out: overlaps the model in "),
        ({"out": "models"}, "out: overlaps the model in "),
        ({"out": "models/ranker/compressed"}, "out: overlaps the model in "),
        ({"out": "catalogue"}, "out: overlaps the catalogue in "),
        ({"out": "models/reranker"}, "out: overlaps the model reranker in "),
        ({"out": "catalogue.deltas/compressed"}, "out: overlaps the deltas in "),
        ({"out": "overlay"}, "out: overlaps the overlay in "),
        ({"out": "live/compressed"}, "out: overlaps the live item features in "),
        ({"out": "store"}, "out: overlaps the feature store in "),
        ({"out": "served"}, "out: overlaps the log in "),
        ({"out": "traffic"}, "out: overlaps the recorded traffic in "),
        ({"out": "../elsewhere"}, "out: must be a folder in the home "),
        ({"out": "pipeline.yaml"}, "pipeline.yaml is a file, got 'pipeline.yaml'; name another folder"),
        ({"out": "pipeline.yaml/compressed"}, "out: must be a folder, but "),
        ({"out": "."}, "out: must be a folder in the home "),
        ({"steps": ["nois"]}, "steps.0: unknown step, got 'nois'"),
    ],
)
def test_refuses_recipe_that_does_not_fit(home: Path, fields: dict[str, Any], expected: str) -> None:
    store = {"kind": "lmdb", "path": "store"}
    features = {**PIPELINE["features"], "overlay": "overlay", "live": "live", "store": store}
    full = {**PIPELINE, "features": features, "log": {"path": "served"}, "record": {"path": "traffic"}}
    (home / "full.yaml").write_text(yaml.safe_dump(full))
    code, _, errors = run(home, **{"pipeline": "full.yaml", **fields})
    assert code == 2
    assert expected in errors


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("served/main/01-noise", "no impressions at "),  # a later check
        ("served/main", "out: overlaps the model distilled in "),
    ],
)
def test_pipeline_may_serve_an_earlier_result_of_the_recipe(home: Path, place: str, expected: str) -> None:
    models = {**PIPELINE["models"], "distilled": {"artifact": place}}
    (home / "serving.yaml").write_text(yaml.safe_dump({**PIPELINE, "models": models}))
    code, _, errors = run(home, pipeline="serving.yaml", out="served", lists="nowhere")
    assert code == 2
    assert expected in errors


def test_refuses_pipeline_without_training_data(home: Path) -> None:
    without = {name: part for name, part in PIPELINE.items() if name != "training"}
    (home / "untrained.yaml").write_text(yaml.safe_dump(without))
    code, _, errors = run(home, pipeline="untrained.yaml")
    assert code == 2
    assert "lists: missing in the recipe, and pipeline small has no training data" in errors
    code, _, errors = run(home, pipeline="untrained.yaml", lists="impressions")
    assert code == 2
    assert "training: missing in pipeline small" in errors
    elsewhere = {**PIPELINE, "training": {**PIPELINE["training"], "data": "nowhere"}}
    (home / "nowhere.yaml").write_text(yaml.safe_dump(elsewhere))
    code, _, errors = run(home, pipeline="nowhere.yaml")
    assert code == 2
    assert "no impressions at " in errors
