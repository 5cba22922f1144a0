"""The rows that trees read: the only input of the model, checked on loading and on each call."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RuntimeFailure
from models.runtimes.checked_inputs import CheckedInputs
from models.signature import Inputs, Signature


class Rows:
    """Reads the rows of a call, and names its scores.

    A tree library numbers the columns. It cannot find an input by name, and some calls of it do not check the shape.
    """

    def __init__(self, signature: Signature, width: int, name: str) -> None:
        """Compare the signature with the model.

        Args:
            signature: the inputs and outputs that ``artifact.yaml`` declares.
            width: the number of columns with which the model was trained.
            name: the model's name in errors.

        Raises:
            RuntimeFailure: the signature declares anything but one float32 vector of this width, and one score.
        """
        inputs = [f"{spec.name} {spec.dtype} {spec.shape}" for spec in signature.inputs]
        fits = (
            len(inputs) == 1
            and signature.layout == "flat"
            and signature.inputs[0].dtype == "float32"
            and signature.inputs[0].shape == (width,)
        )
        if not fits:
            raise RuntimeFailure(
                f"{name}: artifact.yaml must declare one float32 input of {width} numbers per candidate, got "
                f"{', '.join(inputs)} with layout {signature.layout}; import the model again"
            )
        outputs = [spec.name for spec in signature.outputs]
        if len(outputs) != 1:
            raise RuntimeFailure(
                f"{name}: artifact.yaml must declare one output, the score, got {', '.join(outputs)}; import the model "
                f"again"
            )
        self._input, self._output = signature.inputs[0].name, outputs[0]
        self._checked = CheckedInputs(signature)

    def of(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the rows (N, F) float32 of a call.

        Raises:
            RuntimeFailure: the inputs differ from the signature.
        """
        self._checked.lengths(inputs)
        return inputs[self._input]

    def scores(self, predicted: NDArray[Any]) -> Inputs:
        """Return the N scores in float32 under the output's name, with the shape (N, 1) that converted graphs have."""
        return {self._output: predicted.astype(np.float32).reshape(-1, 1)}
