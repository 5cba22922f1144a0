"""Modules whose inputs are tensors in the signature's order, as PyTorch's tracers and exporters require."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.runtimes.checked_inputs import CheckedInputs, EmptyBatches
from models.runtimes.torch import FAULTS, failure
from models.signature import Inputs, InputSpec, Layout, Signature

_EXAMPLE_SIZES = {
    "requests": 2,
    "chunks": 4,
    "candidates": 3,
    "longest": 5,
    "offsets": 3,
    "pairs": 2,
    "tokens": 6,
}
_TORCH_DTYPES = {"float32": torch.float32, "int64": torch.int64, "int32": torch.int32, "bool": torch.bool}


class ByPosition(nn.Module):
    """Takes tensors by position, and passes them on by name."""

    def __init__(self, module: Architecture, signature: Signature) -> None:
        """Take a module and the signature that names its inputs."""
        super().__init__()
        self.module = module
        self._names = [spec.name for spec in signature.inputs]

    def named(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the tensors by name."""
        return dict(zip(self._names, tensors, strict=True))

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return the module's scores."""
        scores: Tensor = self.module(self.named(tensors))
        return scores


class PositionalRuntime:
    """Runs a compiled or traced function of tensors in the signature's order."""

    def __init__(self, function: Callable[..., Tensor], artifact: Artifact, device: str) -> None:
        """Take a function that returns the scores. Inputs are moved to ``device``."""
        self._function, self._device = function, torch.device(device)
        self._checked, self._empty = CheckedInputs(artifact.signature), EmptyBatches(artifact.signature)
        self._output = artifact.signature.outputs[0].name

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the function and return its output by name.

        Raises:
            RuntimeFailure: the inputs do not fit the signature, or PyTorch failed on them.
        """
        arrays = self._checked(inputs)
        if (empty := self._empty.answer(inputs)) is not None:
            return empty
        try:
            with torch.inference_mode():
                scores = self._function(*(torch.from_numpy(each).to(self._device) for each in arrays))
        except FAULTS as error:
            raise failure(inputs, error) from error
        return {self._output: scores.float().cpu().numpy()}


def example_inputs(signature: Signature, device: str = "cpu") -> tuple[Tensor, ...]:
    """Return small inputs in the signature's order. No axis has the length 0 or 1, which compilers treat specially."""
    return tuple(_example(spec, signature.layout).to(device) for spec in signature.inputs)


def _example(spec: InputSpec, layout: Layout) -> Tensor:
    sizes = [_EXAMPLE_SIZES.get(axis, _EXAMPLE_SIZES["longest"]) for axis in spec.axes(layout)]
    if spec.source in {"batch.chunk_of", "batch.request_of"}:
        return torch.zeros(*sizes, dtype=torch.int64)
    return torch.ones(*sizes, *spec.shape, dtype=_TORCH_DTYPES[spec.dtype])
