"""``rankway models compile``: refusals. ``runtimes/pytorch/compiled/scenarios`` compiles a model with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import root
from tests.pipelines import make_pipeline, merged, pipeline_document


@pytest.fixture(name="pipeline")
def _pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    return make_pipeline(tmp_path)


def compile_models(path: Path, changes: dict[str, Any]) -> tuple[int, str]:
    path.write_text(yaml.safe_dump(merged(pipeline_document(), changes)))
    arguments = ["models", "compile", str(path)]
    result = CliRunner().invoke(root(arguments), arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize("runtime", [{"kind": "onnx"}, {"kind": "torch"}])
def test_refuses_a_pipeline_without_models_to_compile(pipeline: Path, runtime: dict[str, Any]) -> None:
    code, output = compile_models(pipeline, {"models": {"ranker": {"runtime": runtime}}})
    assert code == 2
    assert "no model is compiled ahead of time; set kind: torch and mode: aot" in output


def test_refuses_a_model_that_has_only_an_onnx_graph(pipeline: Path) -> None:
    runtime = {"kind": "torch", "mode": "aot"}
    code, output = compile_models(pipeline, {"models": {"ranker": {"runtime": runtime}}})
    assert code == 2
    assert "has no .safetensors file for torch" in output
    assert not list(pipeline.parent.glob("*.compiled"))


def test_refuses_a_damaged_artifact(pipeline: Path) -> None:
    next(pipeline.parent.glob("**/*.onnx")).write_bytes(b"x")
    code, output = compile_models(
        pipeline, {"models": {"ranker": {"runtime": {"kind": "torch", "mode": "aot"}}}}
    )
    assert code == 2
    assert "the copy is damaged" in output
