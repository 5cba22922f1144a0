"""Modules whose inputs are tensors in the signature's order, as PyTorch's tracers and exporters require."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.runtimes.checked_inputs import CheckedInputs
from models.runtimes.pytorch.eager import FAULTS, failure
from models.signature import Inputs, InputSpec, Signature

LEAST = {"longest": 1, "tokens": 2}
"""The least length of axes that are padded anyway. Compilers make wrong guesses about shorter ones."""
_EXAMPLE_LENGTHS = {
    "requests": 2,
    "chunks": 4,
    "candidates": 3,
    "longest": 5,
    "values": 5,
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


class ArraysByPosition:
    """Puts a batch's arrays in the signature's order, and checks them."""

    def __init__(self, signature: Signature) -> None:
        """Take the signature that the arrays must fit."""
        self._checked = CheckedInputs(signature)
        self._inputs = [(spec.name, least_lengths(signature, spec)) for spec in signature.inputs]

    def __call__(self, inputs: Inputs) -> list[NDArray[Any]]:
        """Return the arrays, contiguous. Histories and texts that are shorter than ``LEAST`` get more padding.

        Raises:
            RuntimeFailure: the inputs do not fit the signature.
        """
        self._checked.lengths(inputs)
        return [_padded(inputs[name], least) for name, least in self._inputs]


class PositionalRuntime:
    """Runs a compiled or traced function of tensors in the signature's order."""

    def __init__(self, function: Callable[..., Tensor], artifact: Artifact, device: str) -> None:
        """Take a function that returns the scores. Inputs are moved to ``device``."""
        self._function, self._device = function, torch.device(device)
        self._arrays_of = ArraysByPosition(artifact.signature)
        self._output = artifact.signature.outputs[0].name

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the function and return its output by name.

        Raises:
            RuntimeFailure: the inputs do not fit the signature, or PyTorch failed on them.
        """
        arrays = self._arrays_of(inputs)
        try:
            with torch.inference_mode():
                scores = self._function(*(torch.from_numpy(each).to(self._device) for each in arrays))
        except FAULTS as error:
            raise failure(inputs, error) from error
        return {self._output: scores.float().cpu().numpy()}


def example_inputs(signature: Signature, device: str = "cpu") -> tuple[Tensor, ...]:
    """Return small inputs in the signature's order. No axis has the length 0 or 1, which compilers treat specially."""
    return tuple(_example(spec, signature).to(device) for spec in signature.inputs)


def least_lengths(signature: Signature, spec: InputSpec) -> tuple[int, ...]:
    """Return the least length of each leading axis of an input."""
    return tuple(LEAST.get(axis.partition(" ")[0], 0) for axis in signature.axes(spec))


def _padded(array: NDArray[Any], least: tuple[int, ...]) -> NDArray[Any]:
    """Return a contiguous array with at least these lengths."""
    lacking = [max(0, n - length) for n, length in zip(least, array.shape, strict=False)]
    if not any(lacking):
        return np.ascontiguousarray(array)
    return np.pad(array, [(0, n) for n in lacking] + [(0, 0)] * (array.ndim - len(lacking)))


def _example(spec: InputSpec, signature: Signature) -> Tensor:
    sizes = [_EXAMPLE_LENGTHS[axis.partition(" ")[0]] for axis in signature.axes(spec)]
    if spec.source in {"batch.chunk_of", "batch.request_of"}:
        return torch.zeros(*sizes, dtype=torch.int64)
    return torch.ones(*sizes, *spec.shape, dtype=_TORCH_DTYPES[spec.dtype])
