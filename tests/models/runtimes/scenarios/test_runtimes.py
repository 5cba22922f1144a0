"""Artifacts and inputs that a runtime rejects, and the errors."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.artifact import Artifact, write_artifact
from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.kinds.torch import TorchConfig
from models.signature import InputSpec
from models.training.export import ONNX, SAFETENSORS, weight_writer
from tests.models.worlds import make_reranker

EACH = pytest.mark.parametrize("kind", ["onnx", "torch", "torchscript"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.fixture
def artifact(root: Path) -> Artifact:
    module = make_reranker()
    signature = module.signature("")
    return write_artifact(
        root,
        name="small",
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature),
        architecture=module.options.model_dump(mode="json"),
    )


@EACH
def test_error_for_unsuitable_inputs_has_their_shapes(root: Path, artifact: Artifact, kind: str) -> None:
    runtime = load_runtime(root, artifact, runtime_config(kind=kind))
    inputs = {spec.name: np.zeros((1, 2, 9), dtype=spec.dtype) for spec in artifact.signature.inputs}
    with pytest.raises(RuntimeFailure, match=r"\[1, 2, 9\]"):
        runtime.run(inputs)


@EACH
def test_rejects_a_missing_input(root: Path, artifact: Artifact, kind: str) -> None:
    runtime = load_runtime(root, artifact, runtime_config(kind=kind))
    with pytest.raises(RuntimeFailure):
        runtime.run({"ranked": np.zeros((1, 2), dtype=np.float32)})


@EACH
def test_rejects_files_that_are_not_weights(root: Path, artifact: Artifact, kind: str) -> None:
    for name in (ONNX, SAFETENSORS):
        (root / name).write_bytes(b"not a model")
    with pytest.raises(RuntimeFailure, match="model"):
        load_runtime(root, artifact, runtime_config(kind=kind))


def test_rejects_weights_of_another_architecture(root: Path, artifact: Artifact) -> None:
    weights = load_file(root / SAFETENSORS)
    weights.pop("score_proj.bias")
    save_file(weights, root / SAFETENSORS)
    with pytest.raises(RuntimeFailure, match=r"score_proj\.bias"):
        load_runtime(root, artifact, TorchConfig())


def test_error_for_missing_weights_names_the_remedy(root: Path, artifact: Artifact) -> None:
    only_onnx = artifact.model_copy(update={"files": {ONNX: artifact.files[ONNX]}})
    with pytest.raises(RuntimeFailure, match=r"no \.safetensors file.*choose another runtime"):
        load_runtime(root, only_onnx, TorchConfig())


def test_torch_needs_an_architecture(root: Path, artifact: Artifact) -> None:
    brought = artifact.model_copy(update={"architecture": {}})
    with pytest.raises(RuntimeFailure, match="names no architecture"):
        load_runtime(root, brought, TorchConfig())


def test_rejects_an_unknown_architecture(root: Path, artifact: Artifact) -> None:
    renamed = artifact.model_copy(update={"architecture": {"name": "oracle"}})
    with pytest.raises(RuntimeFailure, match="unknown architecture, got 'oracle'"):
        load_runtime(root, renamed, TorchConfig())


def test_rejects_onnx_inputs_that_differ_from_the_declared_ones(root: Path, artifact: Artifact) -> None:
    more = (*artifact.signature.inputs, InputSpec(name="luck", source="context.luck"))
    declared = artifact.model_copy(
        update={"signature": artifact.signature.model_copy(update={"inputs": more})}
    )
    with pytest.raises(RuntimeFailure, match="luck"):
        load_runtime(root, declared, OnnxConfig())
