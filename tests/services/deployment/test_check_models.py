"""``rankway check`` opens the models that can run here, and runs each on a batch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import helper
from safetensors.numpy import save_file

from models.artifact import Artifact, write_artifact
from models.signature import Signature
from services.config.loading import load_config
from services.deployment.check import OpenedModels, Preflight
from tests.pipelines import make_pipeline, write_vector_model
from tests.services.releasing import write_shifted


def checked(
    home: Path, opens: OpenedModels = "all", *, is_served_here: bool = False
) -> tuple[list[str], list[str]]:
    """Return the faults and the notes."""
    preflight = Preflight(load_config(home / "pipeline.yaml"), home)
    return preflight.faults(opens=opens, is_served_here=is_served_here), preflight.notes


def redeclare(home: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what ``artifact.yaml`` declares, as an author might."""
    path = home / "model" / "artifact.yaml"
    document = yaml.safe_load(path.read_text())
    change({each["name"]: each for each in document["signature"]["inputs"]})
    path.write_text(yaml.safe_dump(document))


def rewrite_graph(home: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    """Change the graph, with the same signature and correct hashes."""
    artifact, model = Artifact.load(home / "model"), onnx.load(str(home / "model" / "model.onnx"))
    change(model)
    signature: Signature = artifact.signature
    write_artifact(
        home / "model",
        name="small",
        signature=signature,
        weights="model.onnx",
        write_files=lambda staging: onnx.save(model, str(staging / "model.onnx")),
    )


def add_weights(home: Path) -> None:
    """Add a file of weights for PyTorch, which is not opened."""
    artifact = Artifact.load(home / "model")
    graph = (home / "model" / "model.onnx").read_bytes()

    def write(staging: Path) -> None:
        (staging / "model.onnx").write_bytes(graph)
        save_file({"weight": np.ones(1, dtype=np.float32)}, staging / "model.safetensors")

    write_artifact(
        home / "model", name="small", signature=artifact.signature, weights="model.onnx", write_files=write
    )


def sum_all(model: onnx.ModelProto) -> None:
    """Let the graph return one number instead of one per candidate."""
    model.graph.node[-1].output[0] = "plain"
    model.graph.node.append(helper.make_node("ReduceSum", ["plain"], ["score"], keepdims=0))
    model.graph.output[0].type.tensor_type.ClearField("shape")


def fix_length(model: onnx.ModelProto) -> None:
    """Let the graph take one candidate only, as after an export without dynamic axes."""
    for node in (*model.graph.input, *model.graph.output):
        node.type.tensor_type.shape.dim[0].dim_value = 1


@pytest.mark.parametrize("opens", ["all", "small"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda inputs: inputs["request_of"].update(dtype="int32"),
            "declared as int32, but the graph takes int64",
        ),
        (
            lambda inputs: inputs["value"].update(dtype="float64"),
            "declared as float64, but the graph takes float32",
        ),
        (lambda inputs: inputs["shift"].update(name="shiftt"), "no such input (did you mean shift?)"),
    ],
)
def test_wrong_declaration_is_a_fault_of_the_artifact(
    tmp_path: Path, opens: OpenedModels, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    make_pipeline(tmp_path)
    redeclare(tmp_path, change)
    (fault,), notes = checked(tmp_path, opens)
    assert fault.startswith("models.ranker.artifact: ")
    assert message in fault
    assert notes == []


def test_vector_model_is_accepted_and_its_width_compared_with_the_graph(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    write_vector_model(tmp_path / "model")
    assert checked(tmp_path) == ([], [])
    redeclare(tmp_path, lambda inputs: inputs["dense"].update(shape=[2]))
    (fault,), _ = checked(tmp_path)
    assert fault.startswith("models.ranker.artifact: vectors.dense: the features have 3 numbers")
    write_vector_model(tmp_path / "model")
    redeclare(tmp_path, lambda inputs: inputs["dense"].update(dtype="float64"))
    (fault,), _ = checked(tmp_path)
    assert "dense is declared as float64, but the graph takes float32" in fault


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (sum_all, "output score of small: expected one number per candidate"),
        (fix_length, "ONNX Runtime failed: "),
    ],
)
def test_graph_that_fails_on_a_batch_is_a_fault(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    make_pipeline(tmp_path)
    rewrite_graph(tmp_path, change)
    (fault,), _ = checked(tmp_path)
    assert fault.startswith("models.ranker.artifact: ")
    assert message in fault


def test_scores_that_are_not_finite_are_a_fault(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    write_shifted(tmp_path / "model", float("nan"))
    (fault,), _ = checked(tmp_path)
    assert fault.startswith("models.ranker.artifact: output score: must be finite")


def test_models_are_opened_only_on_request(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    write_shifted(tmp_path / "model", float("nan"))
    assert checked(tmp_path, "none") == ([], [])


def runtime(home: Path, options: Mapping[str, Any]) -> None:
    make_pipeline(home, {"models": {"ranker": {"runtime": options}}})


@pytest.mark.parametrize("kind", ["torch", "deepspeed"])
def test_model_without_a_file_for_its_runtime_is_a_fault_before_a_replica_starts(
    tmp_path: Path, kind: str
) -> None:
    runtime(tmp_path, {"kind": kind})
    (fault,), _ = checked(tmp_path, "none")
    assert fault.startswith(
        f"models.ranker.runtime.kind: artifact small has no .safetensors file for {kind}, got"
    )


def test_sharded_model_is_noted_and_not_opened(tmp_path: Path) -> None:
    runtime(tmp_path, {"kind": "accelerate", "shards": 2})
    add_weights(tmp_path)
    assert checked(tmp_path) == (
        [],
        [
            "models.ranker: not opened here, because accelerate splits it over a shard group, which only "
            "`rankway serve` starts"
        ],
    )


def test_missing_package_is_a_note_unless_the_pipeline_is_served_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.extras.find_spec", lambda name: None if name == "torch" else object())
    runtime(tmp_path, {"kind": "torch"})
    add_weights(tmp_path)
    why = "torch is not installed; pip install 'rankway[torch]'"
    assert checked(tmp_path) == ([], [f"models.ranker: not opened here, because {why}"])
    faults, _ = checked(tmp_path, "small", is_served_here=True)
    assert faults == [f"models.ranker.runtime.kind: {why}"]


@pytest.mark.parametrize("opens", ["all", "small"])
@pytest.mark.parametrize("options", [{"kind": "torch"}, {"kind": "onnx", "providers": ["tensorrt", "cuda"]}])
def test_model_on_gpus_is_noted_on_a_machine_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, Any], opens: OpenedModels
) -> None:
    monkeypatch.setattr("services.deployment.check_models._GPU_DRIVERS", (tmp_path / "no-driver",))
    make_pipeline(
        tmp_path,
        {
            "models": {"ranker": {"runtime": options}},
            "pools": {"gpu": {"cpus": 8, "memory_gib": 32, "gpus": 1}},
            "units": {"main": {"pools": {"gpu": {"gpus": 1}}}},
        },
    )
    add_weights(tmp_path)
    faults, notes = checked(tmp_path, opens)
    assert [fault for fault in faults if fault.startswith("models.")] == []
    note = "models.ranker: not opened here, because its unit runs on GPUs, and this machine has none"
    assert notes == ([note] if opens == "all" else [])


def test_gpu_provider_on_a_unit_without_gpus_is_a_fault(tmp_path: Path) -> None:
    runtime(tmp_path, {"kind": "onnx", "providers": ["cuda"]})
    (fault,), _ = checked(tmp_path)
    assert fault.startswith(
        "models.ranker.artifact: runtime.providers: not in the installed ONNX Runtime, got cuda"
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"catalogue": "x" * 1000}, "catalogue"),
        ({"features": {"definitions": "x" * 1000}}, "features.definitions"),
        ({"models": {"ranker": {"artifact": "x" * 1000}}}, "models.ranker.artifact"),
    ],
)
def test_path_that_the_file_system_refuses_is_a_fault(
    tmp_path: Path, changes: Mapping[str, Any], field: str
) -> None:
    make_pipeline(tmp_path, changes)
    faults, _ = checked(tmp_path)
    assert any(line.startswith(f"{field}: cannot be read (File name too long), got '/") for line in faults)
    assert max(map(len, faults)) < 400
