"""Runtimes: ``load_runtime`` opens an artifact with the runtime its pipeline names."""

from pathlib import Path

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeConfig


def load_runtime(root: Path, artifact: Artifact, config: RuntimeConfig) -> Runtime:
    """Load the artifact at ``root``.

    Raises:
        RuntimeFailure: the weights do not fit the runtime or the architecture.
    """
    if config.kind == "onnx":
        from models.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(root / artifact.weights, artifact.signature, threads=config.threads)
    from models.runtimes.torch import TorchRuntime

    return TorchRuntime(root / artifact.weights, artifact, threads=config.threads)
