"""``rankway models show``: inputs, outputs, precision and compiled packages."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import root
from models.artifact import Artifact
from models.runtimes.pytorch.compiled.target import Target
from tests.models.runtimes.artifacts import write_model, write_package
from tests.models.worlds import make_pooled

HERE = Target.here(threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.fixture
def artifact(folder: Path) -> Artifact:
    return write_model(folder, make_pooled())


def show(folder: Path) -> dict[str, Any]:
    arguments = ["models", "show", str(folder)]
    result = CliRunner().invoke(root(arguments), arguments)
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = yaml.safe_load(result.stdout)
    assert shown["signature"] == Artifact.read(folder).signature.model_dump(mode="json", exclude_none=True)
    return shown


def test_prints_inputs_outputs_and_precision(folder: Path, artifact: Artifact) -> None:
    shown = show(folder)
    assert [each["name"] for each in shown["signature"]["inputs"]] == [
        s.name for s in artifact.signature.inputs
    ]
    assert shown["signature"]["outputs"] == [{"name": "score", "shape": []}]
    assert shown["precision"] == {"model.safetensors": "float32"}
    assert "compiled" not in shown


def test_prints_each_input_on_a_line_of_its_own(folder: Path, artifact: Artifact) -> None:
    arguments = ["models", "show", str(folder)]
    lines = CliRunner().invoke(root(arguments), arguments).stdout.splitlines()
    for spec in artifact.signature.inputs:
        assert any(line.startswith(f"  - {{name: {spec.name}, source: ") for line in lines)


def test_prints_for_which_machines_it_is_compiled(folder: Path, artifact: Artifact) -> None:
    write_package(folder, artifact, HERE)
    write_package(
        folder, artifact, HERE.model_copy(update={"torch": "2.12.0", "cpu": (*HERE.cpu, "zfuture")})
    )
    write_package(folder, artifact.model_copy(update={"version": "old"}), HERE)
    rows = {row["runs_here"]: row for row in show(folder)["compiled"]}
    here = rows[True]
    assert here["folder"].startswith(f"model.compiled/{artifact.version}-")
    assert (here["torch"], here["threads"], here["cpu"]) == (HERE.torch, 1, " ".join(HERE.cpu))
    assert set(rows) == {
        True,
        f"no, compiled for torch 2.12.0, here {HERE.torch}; a CPU with zfuture, which this CPU lacks",
        "no, compiled from the version old",
    }
