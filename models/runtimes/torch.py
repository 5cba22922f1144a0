"""PyTorch on the CPU, eager."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.architectures import build_architecture
from models.artifact import Artifact
from models.errors import ArtifactError, RuntimeFailure
from models.signature import Inputs


class TorchRuntime:
    """The artifact's architecture with its safetensors weights."""

    def __init__(self, path: Path, artifact: Artifact, *, threads: int) -> None:
        """Build the architecture and load the weights at ``path``; threads are the process's, not the model's.

        Raises:
            RuntimeFailure: the weights cannot be read or are of another architecture.
        """
        torch.set_num_threads(threads)
        if not artifact.architecture:
            raise RuntimeFailure(
                f"artifact {artifact.name} names no architecture: the runtime torch cannot build it; serve it with "
                f"runtime.kind onnx"
            )
        try:
            module = build_architecture(artifact.architecture)
            module.load_state_dict(load_file(path), assign=True)
        except (ArtifactError, SafetensorError, OSError, RuntimeError) as error:
            raise RuntimeFailure(
                f"{path} does not fit architecture {artifact.architecture.get('name')!r} of {artifact.name}: {error}"
            ) from error
        self._module = module.eval()
        self._output = artifact.signature.outputs[0].name

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the module."""
        try:
            with torch.inference_mode():
                scores = self._module({name: torch.from_numpy(values) for name, values in inputs.items()})
        except (RuntimeError, KeyError, TypeError, IndexError) as error:
            shapes = ", ".join(f"{name}{list(values.shape)}" for name, values in inputs.items())
            raise RuntimeFailure(f"PyTorch failed on {shapes}: {error}") from error
        return {self._output: scores.numpy()}
