"""TorchScript's errors and warnings. ``scenarios/test_equality.py`` compares its scores."""

import warnings
from pathlib import Path

import torch

from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from tests.models.runtimes.artifacts import write_model
from tests.models.worlds import make_pooled

TORCHSCRIPT = runtime_config(kind="torchscript")


def test_hides_only_the_deprecation_warnings_of_torchscript(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "model", make_pooled())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        load_runtime(tmp_path / "model", artifact, TORCHSCRIPT)
        assert seen == []
        torch.jit.trace(torch.nn.ReLU(), torch.ones(2))  # type: ignore[no-untyped-call]
    assert any("torch.jit.trace" in str(warning.message) for warning in seen)


def test_does_not_write_into_the_artifact(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "model", make_pooled())
    load_runtime(tmp_path / "model", artifact, TORCHSCRIPT)
    assert Artifact.load(tmp_path / "model") == artifact
    assert {path.name for path in (tmp_path / "model").iterdir()} == {*artifact.files, "artifact.yaml"}
