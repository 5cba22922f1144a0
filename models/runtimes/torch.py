"""PyTorch, eager: a module in this process, and how any module is run on named arrays."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import ArtifactError, OutOfMemory, RuntimeFailure
from models.signature import Inputs

FAULTS = (RuntimeError, KeyError, TypeError, IndexError, MemoryError)
"""What PyTorch, or an architecture, raises of inputs that it cannot take."""
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "out of memory")


class ModuleRuntime:
    """Runs a loaded module."""

    def __init__(self, module: Architecture, artifact: Artifact, device: str = "cpu") -> None:
        """Take the module, weights and all; ``device`` is where it takes its inputs."""
        self._module = module.eval()
        self._device = torch.device(device)
        self._output = artifact.signature.outputs[0].name

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the module."""
        try:
            with torch.inference_mode():
                scores = self._module(
                    {name: torch.from_numpy(values).to(self._device) for name, values in inputs.items()}
                )
        except FAULTS as error:
            raise failure(inputs, error) from error
        return {self._output: scores.float().cpu().numpy()}


class TorchRuntime(ModuleRuntime):
    """The artifact's architecture with its safetensors weights, on the process's GPU where it has one."""

    def __init__(self, path: Path, artifact: Artifact, *, threads: int) -> None:
        """Build the architecture and load the weights at ``path``; threads are the process's, not the model's.

        Raises:
            RuntimeFailure: the weights cannot be read or are of another architecture.
        """
        torch.set_num_threads(threads)
        refuse_unbuildable(artifact)
        try:
            module = build_architecture(artifact.architecture)
            module.load_state_dict(load_file(path), assign=True)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            module.to(device)
        except (ArtifactError, SafetensorError, OSError, RuntimeError) as error:
            raise misfit(path, artifact, error) from error
        super().__init__(module, artifact, device)


def failure(inputs: Inputs, error: Exception) -> RuntimeFailure:
    """Give the error of a batch; of one that found no memory OutOfMemory: PyTorch has no type for that on CPUs."""
    shapes = ", ".join(f"{name}{list(values.shape)}" for name, values in inputs.items())
    short = isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY)
    return (OutOfMemory if short else RuntimeFailure)(f"PyTorch failed on {shapes}: {error}")


def refuse_unbuildable(artifact: Artifact) -> None:
    """Refuse an artifact whose module cannot be built.

    Raises:
        RuntimeFailure: it names no architecture.
    """
    if not artifact.architecture:
        raise RuntimeFailure(
            f"artifact {artifact.name} names no architecture, so PyTorch cannot build it; serve it with "
            f"runtime.kind: onnx"
        )


def misfit(path: Path, artifact: Artifact, error: Exception) -> RuntimeFailure:
    """Give the error of weights that are not of the artifact's architecture."""
    name = artifact.architecture.get("name")
    return RuntimeFailure(f"{path}: does not fit architecture {name!r} of {artifact.name}: {error}")
