"""Check a batch's arrays against a signature, for engines that do not check them themselves.

Compiled code reads beyond an array that is too short. OpenVINO returns scores all the same.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RuntimeFailure
from models.signature import Inputs, Signature


class CheckedInputs:
    """Checks names, types and shapes."""

    def __init__(self, signature: Signature) -> None:
        """Take the signature that the arrays must fit."""
        self._expected = [
            (spec.name, np.dtype(spec.dtype), signature.axes(spec), spec.shape) for spec in signature.inputs
        ]

    def lengths(self, inputs: Inputs) -> dict[str, int]:
        """Return the length of each leading axis, by the names of ``Signature.axes``.

        Raises:
            RuntimeFailure: an array is missing, or has another dtype or shape than the signature declares. Axes with
                the same name must have the same length.
        """
        lengths: dict[str, int] = {}
        for name, dtype, axes, trailing in self._expected:
            array = inputs.get(name)
            if array is None:
                raise RuntimeFailure(
                    f"input {name}: is missing, got {shapes_of(inputs)}; declare the graph's inputs in artifact.yaml"
                )
            shape, count = array.shape, len(axes)
            fits = array.dtype == dtype and len(shape) == count + len(trailing) and shape[count:] == trailing
            if fits and axes == ("offsets",):
                fits = lengths.setdefault("requests", shape[0] - 1) == shape[0] - 1
            if not fits or any(
                lengths.setdefault(axis, n) != n for axis, n in zip(axes, shape, strict=False)
            ):
                raise _fault(name, dtype, axes, trailing, array, lengths)
        return lengths


def shapes_of(inputs: Inputs) -> str:
    """Return the inputs' names and shapes, for errors."""
    return ", ".join(f"{name}{list(values.shape)}" for name, values in inputs.items())


def _fault(
    name: str,
    dtype: np.dtype[Any],
    axes: tuple[str, ...],
    trailing: tuple[int, ...],
    array: NDArray[Any],
    lengths: dict[str, int],
) -> RuntimeFailure:
    if "requests" in lengths:
        lengths = lengths | {"offsets": lengths["requests"] + 1}
    leading = (f"{axis}={lengths[axis]}" if axis in lengths else axis for axis in axes)
    return RuntimeFailure(
        f"input {name}: must be {dtype} ({', '.join([*leading, *map(str, trailing)])}), got {array.dtype} "
        f"{list(array.shape)}; correct the signature in artifact.yaml, or the data"
    )
