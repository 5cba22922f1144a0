"""Builds the module of an artifact, and compares its inputs with those that the artifact declares."""

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.signature import InputSpec, Signature


def built_module(artifact: Artifact) -> Architecture:
    """Return the module of an artifact's architecture, with random weights.

    Raises:
        ArtifactError: the architecture is unknown, or its options are invalid.
        RuntimeFailure: the artifact names no architecture, or declares other inputs than the architecture reads.
    """
    if not artifact.architecture:
        raise RuntimeFailure(
            f"artifact {artifact.name} names no architecture, so PyTorch cannot build it; serve it with "
            f"runtime.kind: onnx"
        )
    module = build_architecture(artifact.architecture)
    faults = _faults(artifact.signature, module.signature(artifact.signature.feature_hash))
    if faults:
        raise RuntimeFailure(
            f"artifact {artifact.name}: artifact.yaml must declare the inputs of {artifact.architecture.get('name')}: "
            f"{', '.join(faults)}; correct the signature, or train the model again"
        )
    return module


def _faults(declared: Signature, read: Signature) -> list[str]:
    """Return a phrase for each difference. An input that the module does not read makes none."""
    known = {spec.name: spec for spec in declared.inputs}
    faults = []
    if declared.layout != read.layout:
        faults.append(f"the layout is declared as {declared.layout}, but the module takes {read.layout}")
    for spec in read.inputs:
        own = known.get(spec.name)
        if own is None:
            faults.append(f"{spec.name} is not declared")
        elif (own.dtype, own.shape) != (spec.dtype, spec.shape):
            faults.append(f"{spec.name} is declared as {_shown(own)}, but the module takes {_shown(spec)}")
    return faults


def _shown(spec: InputSpec) -> str:
    return f"{spec.dtype} {list(spec.shape)}"
