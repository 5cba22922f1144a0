"""Writes a step's child artifact: the parent's name and signature, with other files and a lineage."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.numpy import load_file

from models.artifact import GOLDEN, Artifact, write_artifact
from models.compress.steps.base import Model, StepOptions
from models.signature import Inputs, Signature
from models.text.tokenizer import TOKENIZER

if TYPE_CHECKING:
    from models.architectures.base import Architecture

_INPUT = "input."


def golden_inputs(model: Model) -> Inputs | None:
    """Return the inputs of an artifact's golden requests, or None if it has none."""
    if GOLDEN not in model.artifact.files:
        return None
    stored = load_file(model.root / GOLDEN)
    return {name.removeprefix(_INPUT): values for name, values in stored.items() if name.startswith(_INPUT)}


def write_child(
    root: Path,
    parent: Model,
    options: StepOptions,
    *,
    weights: str,
    write_files: Callable[[Path], None],
    signature: Signature | None = None,
    architecture: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    runtime: str | None = None,
) -> Artifact:
    """Write a child completely or not at all.

    Args:
        root: the child's folder.
        parent: the model that the step read.
        options: the step's options, for the lineage.
        weights: the file that a runtime loads.
        write_files: writes the files into the empty folder that it gets, golden requests included.
        signature: the child's signature. None: the parent's.
        architecture: the child's architecture. None: the parent's. Empty for a graph without a module.
        facts: what the step chose, for the lineage.
        runtime: kind of the runtime that the child is made for, which measures it. None: the usual one for its files.
    """
    artifact = parent.artifact
    steps = [*artifact.lineage.get("compression", {}).get("steps", []), options.lineage]
    compression = {
        "of": artifact.lineage.get("compression", {}).get("of", artifact.version),
        "parent": artifact.version,
        "steps": steps,
        "facts": dict(facts or {}),
    }
    if runtime is not None:
        compression["runtime"] = runtime

    def write(staging: Path) -> None:
        write_files(staging)
        if TOKENIZER in artifact.files:  # a text ranker's child reads the same tokens
            shutil.copyfile(parent.root / TOKENIZER, staging / TOKENIZER)

    return write_artifact(
        root,
        name=artifact.name,
        signature=signature or artifact.signature,
        weights=weights,
        write_files=write,
        architecture=artifact.architecture if architecture is None else architecture,
        lineage={"compression": compression},
    )


def write_module(
    module: "Architecture",
    root: Path,
    parent: Model,
    options: StepOptions,
    golden: Inputs | None,
    facts: Mapping[str, Any] | None = None,
) -> Artifact:
    """Write a child from a module: its weights, ONNX graph, architecture and golden requests.

    Args:
        module: the child. Its own signature is used.
        root: the child's folder.
        parent: the model that the step read.
        options: the step's options, for the lineage.
        golden: inputs of golden requests for the child's signature. None: no golden requests.
        facts: what the step chose, for the lineage.
    """
    from models.training.export import ONNX, weight_writer

    signature = module.signature(parent.artifact.signature.feature_hash)
    return write_child(
        root,
        parent,
        options,
        weights=ONNX,
        write_files=weight_writer(module, signature, golden),
        signature=signature,
        architecture=module.options.model_dump(mode="json"),
        facts=facts,
    )
