"""Executes an artifact's ONNX graph with OpenVINO on the CPU."""

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.artifact import GOLDEN, Artifact
from models.errors import OutOfMemory, RuntimeFailure
from models.no_telemetry import import_openvino
from models.runtimes.golden import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE, golden_fault
from models.runtimes.kinds.openvino import OpenVinoConfig
from models.runtimes.onnx import OnnxRuntime
from models.runtimes.openvino.compiling import (
    Compiled,
    compile_graph,
    cpu_computes_bf16,
    reason,
    refuse_unsupported,
)
from models.runtimes.openvino.shapes import InputShapes, shapes_of
from models.signature import Inputs

if TYPE_CHECKING:
    from openvino import InferRequest

_SAMPLE_SIZE = 3  # not 1, because an output of a wrong length 1 would have the right shape
_NO_MEMORY = ("bad_alloc", "allocate")


class OpenVinoRuntime:
    """Executes an artifact's complete graph. Several threads may call it, and ``streams`` calls run at the same time.

    Attributes:
        precision: the precision in which the graph computes, "f32" or "bf16".
        streams: the number of calls that run at the same time.
    """

    def __init__(self, path: Path, artifact: Artifact, config: OpenVinoConfig) -> None:
        """Compile the graph at ``path``, and compare its outputs for a sample with those of ONNX Runtime.

        OpenVINO executes some invalid graphs, with wrong results. On some CPUs its outputs in bfloat16 have a wrong
        shape.

        Raises:
            RuntimeFailure: the graph cannot be loaded or executed, it differs from the signature, or its outputs differ
                from those of ONNX Runtime.
        """
        self._path, self._artifact = path, artifact
        self._shapes = InputShapes(artifact.signature)
        self._pads = config.shapes == "buckets"
        self._tensor = import_openvino().Tensor
        refuse_unsupported(config)
        sample = self._shapes.sample(_SAMPLE_SIZE)
        expected = OnnxRuntime(path, artifact.signature, threads=config.threads).run(sample)
        if config.precision == "auto" and cpu_computes_bf16():
            try:
                self._use(compile_graph(path, config, "bf16"), sample, expected)
                return
            except RuntimeFailure:
                pass  # the CPU lacks an instruction for this graph, or bfloat16 is too narrow for the model
        precision = "f32" if config.precision == "auto" else config.precision
        self._use(compile_graph(path, config, precision), sample, expected)

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the graph.

        Raises:
            RuntimeFailure: the inputs differ from the signature, or OpenVINO failed on them.
        """
        sizes = self._shapes.sizes(inputs)
        shape = self._shapes.output_shape(sizes)
        if shape is not None and 0 in shape:
            return {
                spec.name: np.zeros((*shape, *spec.shape), dtype=np.float32)
                for spec in self._artifact.signature.outputs
            }
        padded = self._shapes.padded(inputs, sizes) if self._pads else inputs
        return self._execute(padded, () if padded is inputs or shape is None else shape)

    def _use(self, compiled: Compiled, sample: Inputs, expected: Inputs) -> None:
        """Take a compiled graph, and check its scores.

        Raises:
            RuntimeFailure: they differ from the expected scores.
        """
        self.precision = compiled.precision
        self.streams = int(compiled.model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._model = compiled.model
        self._inputs = [(compiled.inputs[name], name) for name in sample]
        self._outputs = {name: compiled.outputs[name] for name in expected}
        self._idle: deque[InferRequest] = deque()
        outputs = self._execute(sample)
        for name, values in expected.items():
            fault = _difference(values, outputs[name], is_narrow=self.precision != "f32")
            if fault is not None:
                raise RuntimeFailure(
                    f"{self._path}: output {name}: OpenVINO in {self.precision} differs from ONNX Runtime on a sample, "
                    f"{fault}; use runtime.kind: onnx"
                )
        if self.precision != "f32" and GOLDEN in self._artifact.files:
            self._refuse_other_scores()

    def _refuse_other_scores(self) -> None:
        # Distances between coordinates, for example, need 32 bits: the walks ranker's scores differ by 8 of 5.
        fault = golden_fault(self._path.parent, self, narrow=True)
        if fault is not None:
            raise RuntimeFailure(
                f"runtime.precision: {self.precision} is too narrow for {self._artifact.name}: its {fault}; use "
                f"precision: f32"
            )

    def _execute(self, inputs: Inputs, shape: tuple[int, ...] = ()) -> Inputs:
        """Run the graph, and return copies of the outputs, cut to the given leading shape."""
        try:
            request = self._idle.pop()
        except IndexError:  # the first call, or as many calls as there are requests are running
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

    def _shared(self, values: NDArray[np.generic]) -> object:
        """Return a tensor that shares the array's memory.

        Every input is shared. An unshared one would be written into the array that the previous call shared.
        """
        if not (values.flags.writeable and values.flags.c_contiguous):
            values = values.copy()  # OpenVINO shares no others
        return self._tensor(values, shared_memory=True)


def _difference(
    expected: NDArray[np.generic], outputs: NDArray[np.generic], *, is_narrow: bool
) -> str | None:
    if outputs.shape != expected.shape:
        return f"expected the shape {expected.shape}, got {outputs.shape}"
    if is_narrow or np.allclose(
        outputs, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True
    ):
        return None
    return f"expected {expected.ravel()[:3]}, got {outputs.ravel()[:3]}"
