"""``rankway train``: models are trained from a pipeline's YAML, and only once."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.train import train
from models.artifact import Artifact
from models.features.catalogue import Catalogue
from tests.models.training.examples.test_from_log import write_log
from tests.models.training.test_train import DOCUMENT, MODELS
from tests.models.worlds import FEATURES, FEEDBACK, make_catalogue, make_impressions

ROOT = Path(__file__).resolve().parents[2]
PIPELINE: dict[str, Any] = {
    "name": "small",
    "catalogue": "catalogue",
    "features": {"definitions": "features.yaml"},
    "models": {name: {"artifact": f"models/{name}"} for name in MODELS},
    "ranker": {"model": "ranker"},
    "reranker": {"model": "reranker"},
    "units": {"main": {"stages": ["features", "ranker", "reranker"]}},
    "feedback": FEEDBACK.model_dump(mode="json"),
    "training": DOCUMENT,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data home with a small data set and an untrained pipeline.yaml."""
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    catalogue = make_catalogue(tmp_path / "catalogue")
    make_impressions(tmp_path / "impressions" / "train", catalogue, 100, 0)
    make_impressions(tmp_path / "impressions" / "valid", catalogue, 40, 1)
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(FEATURES.model_dump(mode="json")))
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(PIPELINE))
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    app = typer.Typer()
    app.command()(train)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_trains_all_models_and_prints_a_line_for_every_tenth_of_the_work(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "train", str(home / "pipeline.yaml")],
        cwd=ROOT,
        env={**os.environ, "RANKWAY_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = done.stderr
    assert done.returncode == 0, lines
    for name in MODELS:
        version = Artifact.load(home / "models" / name).version
        assert f"{name} {version}: trained" in lines
        steps = re.findall(rf"^{name}: ([\d,]+) of ([\d,]+), loss \d.*, \d+ s$", lines, re.MULTILINE)
        assert 1 < len(steps) <= 11, lines
    assert "popularity" in lines
    assert "  ranker  " in lines


def test_second_run_does_nothing_unless_forced(home: Path) -> None:
    path = str(home / "pipeline.yaml")
    assert [model["fresh"] for model in json.loads(run(path, "--json")[1])] == [True] * 3
    assert [model["fresh"] for model in json.loads(run(path, "--json")[1])] == [False] * 3
    assert "up to date" in run(path)[2]
    for name in ("catalogue", "impressions/train", "models/ranker"):  # the state that a killed writer leaves
        (home / name).rename(home / f"{name}.replaced")
    assert [model["fresh"] for model in json.loads(run(path, "--json")[1])] == [False] * 3
    assert (home / "models" / "ranker").is_dir()
    assert [model["fresh"] for model in json.loads(run(path, "--json", "--force")[1])] == [True] * 3


def test_refuses_pipeline_without_training(home: Path) -> None:
    without = {name: part for name, part in PIPELINE.items() if name != "training"}
    (home / "pipeline.yaml").write_text(yaml.safe_dump(without))
    code, _, errors = run(str(home / "pipeline.yaml"))
    assert code == 2
    assert "training: missing in pipeline " in errors


def test_error_for_missing_data_names_the_remedy(home: Path) -> None:
    (home / "impressions" / "train" / "impressions.json").unlink()
    code, _, errors = run(str(home / "pipeline.yaml"))
    assert code == 2
    assert "build the data set first" in errors
    assert not (home / "models").exists()


def test_full_disk_is_reported_and_leaves_no_partial_model(home: Path) -> None:
    command = f"ulimit -f 8; exec {sys.executable} -m cli.main train {home / 'pipeline.yaml'}"  # at most 8 KiB per file
    environment = {**os.environ, "RANKWAY_HOME": str(home)}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "make room under" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((home / "models").glob("*"))


def test_refuses_unknown_setting(home: Path) -> None:
    (home / "pipeline.yaml").write_text(yaml.safe_dump({**PIPELINE, "training": {**DOCUMENT, "epoch": 1}}))
    code, _, errors = run(str(home / "pipeline.yaml"))
    assert code == 2
    assert "training.epoch: no such field" in errors


def test_refuses_distilled_ranker_that_is_not_in_models(home: Path) -> None:
    models = {name: {"artifact": f"models/{name}"} for name in MODELS[:2]}
    (home / "pipeline.yaml").write_text(yaml.safe_dump({**PIPELINE, "models": models}))
    code, _, errors = run(str(home / "pipeline.yaml"))
    assert code == 2
    assert "training.distilled.model: must be in models, got 'distilled'" in errors


def test_trains_from_a_served_log(home: Path) -> None:
    write_log(home / "log", home / "impressions", Catalogue.open(home / "catalogue"))
    (home / "impressions" / "train" / "labels.npy").unlink()  # only the log is read
    code, out, errors = run(str(home / "pipeline.yaml"), "--from-log", str(home / "log"), "--json")
    assert code == 0, errors
    lists = json.loads(out)[0]["lineage"]["training"]["lists"]
    assert lists == {"train": 112, "selection": 14, "report": 14}
    code, _, errors = run(str(home / "pipeline.yaml"), "--from-log", str(home / "nowhere"))
    assert code == 2
    assert "no log at" in errors


def test_refuses_to_train_a_pipeline_without_a_ranker(home: Path) -> None:
    document = {name: part for name, part in PIPELINE.items() if name not in {"ranker", "reranker", "models"}}
    document["units"] = {"main": {"stages": ["features"]}}
    (home / "pipeline.yaml").write_text(yaml.safe_dump(document))
    code, _, errors = run(str(home / "pipeline.yaml"))
    assert code == 2
    assert "ranker: missing in pipeline small; add ranker: {model: NAME}" in errors
