"""``kind: onnx``: ONNX Runtime on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeKind, RuntimeOptions

if TYPE_CHECKING:
    from models.runtimes.split_history import CutRuntime


class OnnxConfig(RuntimeOptions):
    """Options for ONNX Runtime."""

    kind: Literal["onnx"] = "onnx"


def _load(path: Path, artifact: Artifact, config: OnnxConfig) -> Runtime:
    from models.runtimes.onnx import OnnxRuntime

    return OnnxRuntime(path, artifact.signature, threads=config.threads)


def _load_cut(path: Path, artifact: Artifact, config: OnnxConfig) -> "CutRuntime":
    from models.runtimes.split_history import CutRuntime

    return CutRuntime(path, artifact.signature, threads=config.threads)


RUNTIME = RuntimeKind(config=OnnxConfig, suffix=".onnx", load=_load, load_cut=_load_cut)
