"""``rankway models import``: the arguments, and models of other libraries in a pipeline that is then checked."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import root
from models.artifact import Artifact
from tests.models.importing.originals import FEATURES as COLUMNS
from tests.models.importing.originals import lightgbm_text, skops_file, sum_graph
from tests.models.worlds import FEATURES, make_catalogue, make_impressions

PIPELINE: dict[str, Any] = {
    "name": "small",
    "catalogue": "catalogue",
    "features": {"definitions": "features.yaml"},
    "candidates": {"kind": "sample", "count": 20},
    "models": {"ranker": {"artifact": "models/ranker"}},
    "ranker": {"model": "ranker", "output": "relevance"},
    "units": {"main": {"stages": ["features", "ranker"]}},
    "training": {"data": "impressions", "ranker": {"items": ["attributes"]}},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    catalogue = make_catalogue(tmp_path / "catalogue")
    make_impressions(tmp_path / "impressions" / "train", catalogue, 20, 0)
    make_impressions(tmp_path / "impressions" / "valid", catalogue, 8, 1)
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(FEATURES.model_dump(mode="json")))
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(PIPELINE))
    return tmp_path


def rankway(*words: object) -> Result:
    arguments = [str(word) for word in words]
    return CliRunner().invoke(root(arguments), arguments)


def import_model(home: Path, *words: object) -> Result:
    return rankway("models", "import", *words, "--config", home / "pipeline.yaml", "--model", "ranker")


def test_a_lightgbm_model_is_imported_by_the_names_of_its_columns_and_passes_check(home: Path) -> None:
    result = import_model(home, lightgbm_text(home / "model"))
    assert result.exit_code == 0, result.output
    assert "vector of 5 numbers, item.attributes, context.hour" in result.output
    assert "differ by at most" in result.output
    artifact = Artifact.load(home / "models/ranker", feature_hash=FEATURES.content_hash)
    assert [output.name for output in artifact.signature.outputs] == ["relevance"]
    checked = rankway("check", home / "pipeline.yaml")
    assert checked.exit_code == 0, checked.output


def test_the_export_that_a_model_was_trained_on_names_its_columns(home: Path) -> None:
    names = ",".join(COLUMNS)
    pipeline = home / "pipeline.yaml"
    exported = rankway("features", "export", pipeline, home / "data", "--features", names, "--missing", "0")
    assert exported.exit_code == 0, exported.output
    result = import_model(home, skops_file(home / "model"), "--trained-on", home / "data")
    assert result.exit_code == 0, result.output
    vectors = Artifact.read(home / "models/ranker").signature.vectors or {}
    assert (vectors["features"].features, vectors["features"].missing) == (COLUMNS, 0.0)


def test_an_onnx_graph_is_imported_with_named_features(home: Path) -> None:
    result = import_model(home, sum_graph(home / "model"), "--input", f"dense={','.join(COLUMNS)}")
    assert result.exit_code == 0, result.output
    checked = rankway("check", home / "pipeline.yaml")
    assert checked.exit_code == 0, checked.output


def test_a_model_is_imported_before_the_pipeline_has_a_ranker(home: Path) -> None:
    pipeline = {name: part for name, part in PIPELINE.items() if name != "ranker"}
    pipeline["units"] = {"main": {"stages": ["features"]}}
    (home / "pipeline.yaml").write_text(yaml.safe_dump(pipeline))
    result = import_model(home, sum_graph(home / "model"), "--input", f"dense={','.join(COLUMNS)}")
    assert result.exit_code == 0, result.output
    assert [output.name for output in Artifact.read(home / "models/ranker").signature.outputs] == ["score"]
    checked = rankway("check", home / "pipeline.yaml")
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected --config and --model of a pipeline, or a folder OUT with --name"),
        (["--config", "pipeline.yaml"], "give both or none"),
        (["out", "--name", "x"], "a model of format onnx reads features"),
        (["--config", "pipeline.yaml", "--model", "x"], "got 'x'; name one of ranker"),
        (
            ["--config", "pipeline.yaml", "--model", "ranker", "--missing", "inf"],
            "expected nan or a finite number",
        ),
        (
            ["--config", "pipeline.yaml", "--model", "ranker", "--layout", "tree"],
            "expected flat, list or chunks",
        ),
        (["--config", "pipeline.yaml", "--model", "ranker"], "--input dense=FEATURE"),
        (
            ["--config", "pipeline.yaml", "--model", "ranker", "--trained-on", "none"],
            "rankway features export wrote",
        ),
        (
            [
                "--config",
                "pipeline.yaml",
                "--model",
                "ranker",
                "--input",
                "dense=item.start",
                "--output",
                "y",
            ],
            "no such output, got 'y'; the graph has out float32",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_a_remedy(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(home)
    width = 2 if "--output" in words else 5
    result = rankway("models", "import", sum_graph(home / "model", width), *words)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not (home / "models").exists()


def test_the_measured_times_and_the_chosen_runtime_are_printed_also_as_json(home: Path) -> None:
    result = import_model(home, lightgbm_text(home / "model"), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    artifact = Artifact.read(home / "models/ranker")
    assert document["artifact"] == {"name": "ranker", "version": artifact.version}
    assert document["runtime"] == artifact.runtime
    assert document["candidates"] == PIPELINE["candidates"]["count"]
    assert {(timing["runtime"], timing["rows"]) for timing in document["timings"]} == {
        (kind, rows) for kind in ("onnx", "lightgbm") for rows in (1, 20, 32, 200, 1000)
    }
    assert f"chosen: {artifact.runtime}, " in result.stderr
    assert "for 20 rows in one thread" in result.stderr


def test_a_model_that_only_its_library_can_execute_is_served_with_auto(home: Path) -> None:
    source = lightgbm_text(home / "model", objective="regression", linear_tree=True)
    result = import_model(home, source)
    assert result.exit_code == 0, result.output
    assert "no ONNX graph: " in result.output
    assert "chosen: lightgbm, the only runtime" in result.output
    assert (
        "models.ranker.runtime: the pipeline has {kind: onnx}; set {kind: lightgbm}, or {kind: auto}"
        in result.output
    )
    checked = rankway("check", home / "pipeline.yaml")
    assert checked.exit_code != 0
    assert "set runtime.kind: lightgbm" in checked.output
    for kind in ("auto", "lightgbm"):
        models = {"ranker": {"artifact": "models/ranker", "runtime": {"kind": kind}}}
        (home / "pipeline.yaml").write_text(yaml.safe_dump({**PIPELINE, "models": models}))
        checked = rankway("check", home / "pipeline.yaml", "--json")
        assert checked.exit_code == 0, checked.output
        (findings,) = json.loads(checked.stdout).values()
        assert findings["runtimes"]["ranker"]["runtime"]["kind"] == "lightgbm"
