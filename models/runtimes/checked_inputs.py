"""Checks of a batch's arrays before native code reads them: compiled code does not check them itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RuntimeFailure
from models.signature import Inputs, InputSpec, Signature

_OUTPUT_AXES = {"flat": 1, "list": 2, "chunks": 2, "pairs": 1}
LEAST = {"longest": 1, "tokens": 2}
"""The least length of axes that are padded anyway. Compilers make wrong guesses about shorter ones."""


class CheckedInputs:
    """Puts a batch's arrays in the signature's order, and checks their types and shapes."""

    def __init__(self, signature: Signature) -> None:
        """Take the signature that the arrays must fit."""
        self._specs = [
            (spec, np.dtype(spec.dtype), spec.axes(signature.layout), spec.shape) for spec in signature.inputs
        ]

    def __call__(self, inputs: Inputs) -> list[NDArray[Any]]:
        """Return the arrays, contiguous and in the signature's order.

        Histories and texts that are shorter than ``LEAST`` get more padding.

        Raises:
            RuntimeFailure: an array is missing, or has another dtype or shape than the signature declares. Axes with
                the same name must have the same length.
        """
        lengths: dict[str, int] = {}
        arrays = []
        for spec, dtype, axes, trailing in self._specs:
            array = inputs.get(spec.name)
            if array is None:
                raise RuntimeFailure(
                    f"input {spec.name}: is missing, got {', '.join(inputs)}; send this input"
                )
            leading = array.shape[: len(axes)]
            fits = array.dtype == dtype and array.shape[len(axes) :] == trailing and len(leading) == len(axes)
            if not fits or any(
                lengths.setdefault(axis, n) != n for axis, n in zip(axes, leading, strict=True)
            ):
                raise RuntimeFailure(_fault(spec, axes, array, lengths))
            arrays.append(np.ascontiguousarray(_padded(array, axes)))
        return arrays


class EmptyBatches:
    """Answers batches without candidates, which many engines refuse."""

    def __init__(self, signature: Signature) -> None:
        """Find the input whose leading axes are those of the output."""
        self._axes = _OUTPUT_AXES[signature.layout]
        self._output = signature.outputs[0]
        own = [spec for spec in signature.inputs if spec.per_candidate or signature.layout == "pairs"]
        self._name = own[0].name if own else ""

    def answer(self, inputs: Inputs) -> Inputs | None:
        """Return the output for a batch without candidates. None if there are candidates."""
        array = inputs.get(self._name)
        if array is None or array.size or 0 not in array.shape[: self._axes]:
            return None
        shape = (*array.shape[: self._axes], *self._output.shape)
        return {self._output.name: np.zeros(shape, np.float32)}


def _padded(array: NDArray[Any], axes: tuple[str, ...]) -> NDArray[Any]:
    lacking = LEAST.get(axes[-1], 0) - array.shape[len(axes) - 1]
    if lacking <= 0:
        return array
    widths = [(0, 0)] * array.ndim
    widths[len(axes) - 1] = (0, lacking)
    return np.pad(array, widths)


def _fault(spec: InputSpec, axes: tuple[str, ...], array: NDArray[Any], lengths: dict[str, int]) -> str:
    leading = (f"{axis}={lengths[axis]}" if axis in lengths else axis for axis in axes)
    expected = ", ".join([*leading, *map(str, spec.shape)])
    return (
        f"input {spec.name}: must be {spec.dtype} ({expected}), got {array.dtype} {list(array.shape)}; correct the "
        f"signature in artifact.yaml, or the data"
    )
