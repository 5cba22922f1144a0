"""``rankway check``: faults by field with the remedy, and exit status 2."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import root
from services.config.loading import load_config
from services.releases.staging import ReleaseFolder
from tests.pipelines import make_pipeline, merged, pipeline_document
from tests.services.deployment.test_check_models import add_weights
from tests.services.releasing import stage_shifted, write_shifted


@pytest.fixture(name="pipeline")
def _pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return make_pipeline(tmp_path)


def check(*paths: Path, as_json: bool = False) -> tuple[int, str]:
    options = ["--json"] if as_json else []
    arguments = ["check", *options, *map(str, paths)]
    result = CliRunner().invoke(root(arguments), arguments)
    return result.exit_code, result.output


def test_accepts_pipeline_with_matching_data_and_models(pipeline: Path) -> None:
    code, output = check(pipeline)
    assert code == 0, output
    assert "ok" in output


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"catalog": "x"}, "catalog: no such field"),
        ({"candidates": {"count": 0}}, "candidates.count"),
        ({"units": {"main": {"replicas": -1}}}, "units.main.replicas"),
        ({"units": {"main": {"stages": ["features"]}}}, "stage ranker must be in exactly one unit, got 0"),
        ({"ranker": {"model": "other"}}, "unknown model, got 'other'"),
        ({"catalogue": "elsewhere"}, "no catalogue at"),
        ({"features": {"definitions": "elsewhere.yaml"}}, "no feature definitions at"),
        ({"features": {"store": {"path": "elsewhere.lmdb"}}}, "features.store.path"),
        ({"models": {"ranker": {"artifact": "elsewhere"}}}, "models.ranker.artifact: no artifact at"),
        (
            {"candidates": {"count": 501}},
            "must be at most 500, the number of items in the catalogue, got 501",
        ),
    ],
)
def test_a_fault_names_the_field_and_the_remedy(
    pipeline: Path, changes: dict[str, Any], expected: str
) -> None:
    pipeline.write_text(yaml.safe_dump(merged(pipeline_document(), changes)))
    code, output = check(pipeline)
    assert code == 2
    assert expected in output


@pytest.mark.parametrize(
    "changes",
    [
        {"candidates": {"count": 501}},
        {"features": {"definitions": "elsewhere.yaml"}},
        {"models": {"ranker": {"artifact": "elsewhere"}}},
        {"log": {"path": "nowhere://log"}},
    ],
    ids=str,
)
def test_check_and_serve_show_the_same_fault(pipeline: Path, changes: dict[str, Any]) -> None:
    pipeline.write_text(yaml.safe_dump(merged(pipeline_document(), changes)))
    faults = json.loads(check(pipeline, as_json=True)[1])[str(pipeline)]["faults"]
    arguments = ["serve", str(pipeline)]
    served = CliRunner().invoke(root(arguments), arguments)
    assert served.exit_code == 2
    assert served.output.removeprefix("error: ").splitlines() == faults


def test_a_damaged_weights_file_is_a_fault(pipeline: Path) -> None:
    weights = pipeline.parent / "model" / "model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    code, output = check(pipeline)
    assert code == 2
    assert "the copy is damaged" in output


@pytest.mark.parametrize("content", ["", "- a list\n", "{broken", "\x00"])
def test_file_that_is_not_a_pipeline_is_a_fault(pipeline: Path, content: str) -> None:
    pipeline.write_text(content)
    code, _ = check(pipeline)
    assert code == 2


def test_checks_every_file_and_reports_each_in_json(pipeline: Path) -> None:
    missing = pipeline.with_name("missing.yaml")
    code, output = check(pipeline, missing, as_json=True)
    assert code == 2
    faults = json.loads(output)
    assert faults[str(pipeline)]["faults"] == []
    assert list(faults[str(pipeline)]["runtimes"]) == ["ranker"]
    assert "cannot be read" in faults[str(missing)]["faults"][0]


def test_reports_policies_that_add_nothing_to_a_pipeline_with_one_unit(pipeline: Path) -> None:
    scaling = {"autoscaling": {"p99_ms": 80, "policy": {"kind": "target_ongoing"}}}
    pipeline.write_text(yaml.safe_dump(merged(pipeline_document(), scaling)))
    code, output = check(pipeline)
    assert code == 0, output
    assert "autoscaling: policy coupled would add nothing here: the pipeline has one unit" in output
    assert "autoscaling: policy cheapest would add nothing here: no unit can run in several pools" in output
    result = json.loads(check(pipeline, as_json=True)[1])[str(pipeline)]
    assert list(result["idle_policies"]) == ["coupled", "cheapest"]
    assert result["warnings"] == []


def test_warns_about_an_active_release_with_another_model(pipeline: Path) -> None:
    home, config = pipeline.parent, load_config(pipeline)
    name = stage_shifted(config, home, 0.0)
    ReleaseFolder(home, config.name).history.note_active(name)
    write_shifted(home / "model", 0.5)
    code, output = check(pipeline)
    assert code == 0, output
    assert f"warning: release {name} is active" in output
    assert f"rankway release stage {pipeline}" in output


def test_notes_what_was_not_checked_here(pipeline: Path) -> None:
    add_weights(pipeline.parent)
    change = {"models": {"ranker": {"runtime": {"kind": "accelerate", "shards": 2}}}}
    pipeline.write_text(yaml.safe_dump(merged(pipeline_document(), change)))
    code, output = check(pipeline)
    assert code == 0, output
    assert "note: models.ranker: not opened here" in output
    assert json.loads(check(pipeline, as_json=True)[1])[str(pipeline)]["notes"]


def test_lines_are_not_wrapped_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long-" * 20)
    folder.mkdir()
    monkeypatch.setenv("RANKWAY_HOME", str(folder))
    path = make_pipeline(folder)
    assert f"{path}: ok\n" in check(path)[1]


def test_warns_about_a_log_without_kinds_of_feedback(pipeline: Path) -> None:
    logged = merged(pipeline_document(), {"log": {"path": "served"}})
    pipeline.write_text(yaml.safe_dump(logged))
    assert "feedback.kinds" not in check(pipeline)[1]
    pipeline.write_text(yaml.safe_dump({name: part for name, part in logged.items() if name != "feedback"}))
    code, output = check(pipeline)
    assert code == 0
    assert "feedback.kinds: empty, so the log keeps no feedback" in output
