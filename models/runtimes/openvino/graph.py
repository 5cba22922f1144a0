"""A compiled graph, with requests that are used again. A request is OpenVINO's object for one call."""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfMemory, RuntimeFailure
from models.no_telemetry import import_openvino
from models.runtimes.checked_inputs import shapes_of
from models.runtimes.golden import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from models.runtimes.openvino.compiling import reason
from models.signature import Inputs, Signature

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest

_NO_MEMORY = ("bad_alloc", "allocate")


class Graph:
    """A compiled graph. Several threads may execute it.

    Attributes:
        precision: the precision in which the graph computes, "f32" or "bf16".
        streams: the number of calls that run at the same time.
    """

    def __init__(self, model: "CompiledModel", signature: Signature) -> None:
        """Take a compiled graph that has the signature's inputs and outputs."""
        self._model = model
        inputs, outputs = _indices(model.inputs), _indices(model.outputs)
        self._inputs = [(inputs[spec.name], spec.name) for spec in signature.inputs]
        self._outputs = {spec.name: outputs[spec.name] for spec in signature.outputs}
        self._idle: deque[InferRequest] = deque()
        self._tensor = import_openvino().Tensor
        self.precision = str(model.get_property("INFERENCE_PRECISION_HINT").type_name)
        self.streams = int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))

    def run(self, inputs: Inputs, shape: tuple[int, ...] = ()) -> Inputs:
        """Execute the graph, and return copies of the outputs, cut to the given leading shape.

        Raises:
            RuntimeFailure: OpenVINO failed on these inputs.
        """
        try:
            request = self._idle.pop()
        except IndexError:  # the first call, or all requests are in use
            request = self._model.create_infer_request()
        cut = tuple(slice(size) for size in shape)
        try:
            for index, name in self._inputs:
                request.set_input_tensor(index, self._shared(inputs[name]))
            request.infer(share_outputs=True)
            return {
                name: request.get_output_tensor(index).data[cut].copy()
                for name, index in self._outputs.items()
            }
        except Exception as error:  # OpenVINO's errors share no public base class
            is_memory_short = isinstance(error, MemoryError) or any(t in str(error) for t in _NO_MEMORY)
            raise (OutOfMemory if is_memory_short else RuntimeFailure)(
                f"OpenVINO failed: {reason(error)}, on {shapes_of(inputs)}"
            ) from error
        finally:
            self._idle.append(request)

    def _shared(self, values: NDArray[Any]) -> object:
        """Return a tensor that shares the array's memory.

        Every input is shared. An unshared one would be written into the array that the previous call shared.
        """
        if not (values.flags.writeable and values.flags.c_contiguous):
            values = values.copy()  # OpenVINO shares no others
        return self._tensor(values, shared_memory=True)


def _indices(ports: Iterable[Any]) -> dict[str, int]:
    """Return the indices by name. An input or output has all names that the graph gives to its value."""
    return {name: index for index, port in enumerate(ports) for name in port.get_names()}


def difference(expected: NDArray[np.generic], outputs: NDArray[np.generic], *, is_narrow: bool) -> str | None:
    """Return a phrase for the difference of two outputs, if any. Narrow outputs must only have the same shape."""
    if outputs.shape != expected.shape:
        return f"expected the shape {expected.shape}, got {outputs.shape}"
    if is_narrow or np.allclose(
        outputs, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True
    ):
        return None
    return f"expected {expected.ravel()[:3]}, got {outputs.ravel()[:3]}"
