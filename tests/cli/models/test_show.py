"""``rankway models show``: inputs, outputs, precision, compiled packages, and the lineage of compressed models."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import root
from models.artifact import Artifact
from models.compress.steps.base import Model
from models.compress.steps.modules import parameters_of
from models.compress.steps.registry import STEPS
from models.runtimes.pytorch.compiled.target import Target
from tests.models.compress.works import make_parent, make_work
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


def test_prints_sizes_and_steps_of_compressed_models(tmp_path: Path) -> None:
    module = make_pooled()
    original = make_parent(tmp_path / "original", module)
    assert "parameters" not in show(original.root)
    steps: dict[str, dict[str, Any]] = {
        "pruned": {"kind": "prune", "hidden": 0.5, "importance": "magnitude", "tune": None},
        "factorised": {"kind": "low_rank", "parameters": 0.9, "weighted": False, "tune": None},
        "quantised": {"kind": "quantize"},
    }
    parent, sizes = original, [parameters_of(module)]
    for number, (name, options) in enumerate(steps.items(), 1):
        kind = STEPS.get(options["kind"])
        work = make_work(original, tmp_path, data=None)
        kind.run(kind.config.model_validate(options), parent, tmp_path / name, work)
        shown = show(tmp_path / name)
        lineage = shown["lineage"]["compression"]
        assert (lineage["of"], lineage["parent"]) == (original.artifact.version, parent.artifact.version)
        assert [step["kind"] for step in lineage["steps"]] == ["prune", "low_rank", "quantize"][:number]
        assert lineage["facts"]
        parent = Model(tmp_path / name, Artifact.load(tmp_path / name))
        if name == "quantised":
            assert "int8" in shown["precision"]["model.onnx"]
            assert list(shown["parameters"]) == ["model.onnx"]
        else:
            assert shown["precision"] == {"model.onnx": "float32", "model.safetensors": "float32"}
            sizes.append(shown["parameters"]["model.safetensors"])
    assert sizes[0] > sizes[1] > sizes[2]


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
