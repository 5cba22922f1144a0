"""Eager PyTorch: loads a module into this process, and runs modules on named arrays."""

from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.architectures.base import Architecture
from models.architectures.gpu_form import to_gpu_form, without_needless
from models.architectures.history_ranker import HistoryRanker
from models.artifact import Artifact
from models.errors import ArtifactError, OutOfMemory, RuntimeFailure
from models.runtimes.checked_inputs import shapes_of
from models.runtimes.pytorch.built_module import built_module
from models.signature import Inputs

FAULTS = (RuntimeError, KeyError, TypeError, IndexError, MemoryError)
"""Errors that PyTorch or an architecture raises for inputs that it cannot process."""
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "out of memory")


class ModuleRuntime:
    """Runs a loaded module."""

    def __init__(self, module: Architecture, artifact: Artifact, device: str = "cpu") -> None:
        """Take a module with its weights. Inputs are moved to ``device``."""
        self._module = module.eval()
        self._device = torch.device(device)
        self._output = artifact.signature.outputs[0].name
        self._drops_needless = False

    def to_gpu_form(self) -> None:
        """Use the GPU's attention kernels and products, if the module is a history ranker."""
        to_gpu_form(self._module)
        self._drops_needless = isinstance(self._module, HistoryRanker)

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the module and return its output by name.

        Raises:
            RuntimeFailure: PyTorch failed on these inputs.
        """
        if self._drops_needless:
            inputs = without_needless(inputs)
        try:
            with torch.inference_mode():
                scores = self._module(
                    {name: torch.from_numpy(values).to(self._device) for name, values in inputs.items()}
                )
        except FAULTS as error:
            raise failure(inputs, error) from error
        return {self._output: scores.float().cpu().numpy()}


class TorchRuntime(ModuleRuntime):
    """Runs the artifact's architecture with its safetensors weights, on the GPU if the process has one."""

    def __init__(
        self, path: Path, artifact: Artifact, *, threads: int, dtype: Literal["fp32", "bf16"] = "fp32"
    ) -> None:
        """Build the architecture and load the weights at ``path``.

        Args:
            path: the safetensors file.
            artifact: its manifest.
            threads: CPU threads per call, for the whole process, not only for this model.
            dtype: type of a history ranker's layers.

        Raises:
            RuntimeFailure: the weights cannot be read or do not fit the architecture, or it has no such layers.
        """
        module, device = loaded_module(path, artifact, threads=threads)
        if dtype == "bf16":
            narrow_layers(module, artifact)
        super().__init__(module, artifact, device)
        if device == "cuda":
            self.to_gpu_form()


def loaded_module(path: Path, artifact: Artifact, *, threads: int) -> tuple[Architecture, str]:
    """Return the artifact's module with the weights at ``path``, and its device: the GPU if the process has one.

    Args:
        path: the safetensors file.
        artifact: its manifest.
        threads: CPU threads per call, for the whole process, not only for this model.

    Raises:
        RuntimeFailure: the weights cannot be read or do not fit the architecture.
    """
    torch.set_num_threads(threads)
    try:
        module = built_module(artifact)
        module.load_state_dict(load_file(path), assign=True)
        device = this_device()
        module.to(device)
    except (ArtifactError, SafetensorError, OSError, RuntimeError) as error:
        raise misfit(path, artifact, error) from error
    return module.eval().requires_grad_(False), device


def this_device() -> str:
    """Return "cuda" if the process has a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name() -> str:
    """Return "cpu", or the GPU's name and compute capability."""
    if this_device() == "cpu":
        return "cpu"
    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()} (compute capability {major}.{minor})"


def narrow_layers(module: Architecture, artifact: Artifact) -> None:
    """Compute a history ranker's layers in bfloat16.

    Raises:
        RuntimeFailure: the module is not a history ranker.
    """
    if not isinstance(module, HistoryRanker):
        raise RuntimeFailure(
            f"runtime.dtype: bf16 is only for history_ranker, got {artifact.architecture.get('name')} in artifact "
            f"{artifact.name}; remove runtime.dtype"
        )
    module.narrow_layers(torch.bfloat16)


def failure(inputs: Inputs, error: Exception) -> RuntimeFailure:
    """Return the error for a batch: OutOfMemory if memory was short, otherwise RuntimeFailure.

    PyTorch has no error type for missing memory on CPUs, so the message decides.
    """
    is_memory_short = isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY)
    return (OutOfMemory if is_memory_short else RuntimeFailure)(
        f"PyTorch failed on {shapes_of(inputs)}: {error}"
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message. The other lines of PyTorch's compilers are stack traces."""
    return str(error).strip().partition("\n")[0]


def misfit(path: Path, artifact: Artifact, error: Exception) -> RuntimeFailure:
    """Return the error for weights that cannot be read, or do not fit the artifact's architecture."""
    reason = " ".join(str(error).split()).removesuffix(".")
    if isinstance(error, (SafetensorError, OSError)):
        return RuntimeFailure(f"{path}: cannot be read: {reason}; copy the artifact again")
    name = artifact.architecture.get("name")
    return RuntimeFailure(
        f"{path}: does not fit architecture {name!r} of {artifact.name}: {reason}; correct architecture in "
        f"artifact.yaml, or train the model again"
    )
