"""Modules are built only if the artifact declares the inputs that they read."""

from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.pytorch.built_module import built_module
from models.signature import InputSpec
from tests.models.runtimes.artifacts import write_model
from tests.models.worlds import make_ranker


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return write_model(tmp_path / "ranker", make_ranker())


def declaring(artifact: Artifact, **changes: Any) -> Artifact:
    return artifact.model_copy(update={"signature": artifact.signature.model_copy(update=changes)})


def test_inputs_that_the_module_does_not_read_are_ignored(artifact: Artifact) -> None:
    extra = InputSpec(name="extra", source="user.extra")
    assert built_module(declaring(artifact, inputs=(*artifact.signature.inputs, extra)))


def test_an_input_that_the_artifact_does_not_declare_is_named(artifact: Artifact) -> None:
    inputs = tuple(spec for spec in artifact.signature.inputs if spec.name != "history_mask")
    with pytest.raises(
        RuntimeFailure, match=r"inputs of history_ranker: history_mask is not declared; correct"
    ):
        built_module(declaring(artifact, inputs=inputs))


def test_another_shape_and_another_layout_are_named(artifact: Artifact) -> None:
    inputs = tuple(
        spec.model_copy(update={"shape": (7,)}) if spec.name == "item_attributes" else spec
        for spec in artifact.signature.inputs
    )
    with pytest.raises(
        RuntimeFailure,
        match=r"declared as list, but the module takes chunks, item_attributes is declared as float32 \[7\], but",
    ):
        built_module(declaring(artifact, inputs=inputs, layout="list"))


def test_an_artifact_without_architecture_is_refused(artifact: Artifact) -> None:
    with pytest.raises(RuntimeFailure, match="names no architecture"):
        built_module(artifact.model_copy(update={"architecture": {}}))
