"""Executes an artifact's ONNX graph with OpenVINO on the CPU."""

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.artifact import Artifact
from models.errors import GoldenMismatch, OutOfMemory, RuntimeFailure
from models.no_telemetry import import_openvino
from models.runtimes.golden import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE, check_golden
from models.runtimes.graph_inputs import input_faults
from models.runtimes.kinds.openvino import OpenVinoConfig
from models.runtimes.onnx import OnnxRuntime
from models.runtimes.openvino.compiling import (
    Compiled,
    compile_graph,
    cpu_computes_bf16,
    reason,
    refuse_unsupported,
)
from models.runtimes.openvino.shapes import InputShapes
from models.signature import Inputs

if TYPE_CHECKING:
    from openvino import InferRequest

_SAMPLE_SIZE = 3  # not 1, because OpenVINO may return a wrong length that broadcasting would hide
_NO_MEMORY = ("bad_alloc", "allocate")


class OpenVinoRuntime:
    """Executes an artifact's complete graph. As many calls as there are streams run at the same time.

    Attributes:
        precision: the precision in which the graph computes, "f32" or "bf16".
        streams: the number of concurrent calls.
    """

    def __init__(self, path: Path, artifact: Artifact, config: OpenVinoConfig) -> None:
        """Compile the graph at ``path``, and compare its outputs for a sample with those of ONNX Runtime.

        OpenVINO executes some graphs that are invalid, and returns wrong results for them. On some CPUs it returns
        outputs of a wrong shape.

        Raises:
            RuntimeFailure: the graph cannot be loaded or executed, differs from the signature, or has other outputs
                than with ONNX Runtime.
        """
        signature = artifact.signature
        self._path, self._artifact = path, artifact
        self._shapes = InputShapes(signature)
        self._pads = config.shapes == "buckets"
        sample = self._shapes.sample(_SAMPLE_SIZE)
        expected = OnnxRuntime(path, signature, threads=config.threads).run(sample)
        refuse_unsupported(config)
        if config.precision != "auto":
            self._use(compile_graph(path, config, config.precision), sample, expected)
            return
        if cpu_computes_bf16():
            try:
                self._use(compile_graph(path, config, "bf16"), sample, expected)
                return
            except RuntimeFailure:
                pass  # bfloat16 is too narrow for this model, or the CPU lacks an instruction for it
        self._use(compile_graph(path, config, "f32"), sample, expected)

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the graph.

        Raises:
            RuntimeFailure: the inputs differ from the signature, or OpenVINO failed on them.
        """
        sizes = self._shapes.sizes(inputs)
        shape = self._shapes.output_shape(sizes)
        if shape is not None and 0 in shape:
            return {
                spec.name: np.zeros((*shape, *spec.shape), dtype=self._dtypes[spec.name])
                for spec in self._artifact.signature.outputs
            }
        if not self._pads:
            return self._execute(inputs)
        return self._execute(self._shapes.padded(inputs, sizes), shape)

    def _use(self, compiled: Compiled, sample: Inputs, expected: Inputs) -> None:
        """Take a compiled graph and check it on the sample."""
        faults = input_faults(self._artifact.signature, compiled.inputs)
        missing = [
            spec.name for spec in self._artifact.signature.outputs if spec.name not in compiled.outputs
        ]
        if faults or missing:
            lacks = [f"the graph lacks the output {name}" for name in missing]
            raise RuntimeFailure(
                f"{self._path}: artifact.yaml must declare the graph's inputs and outputs: "
                f"{', '.join(faults + lacks)}; declare them as in the graph"
            )
        self.precision = compiled.precision
        self._compiled = compiled.model
        self._inputs = [graph_input.name for graph_input in compiled.inputs]
        self._outputs = [
            (spec.name, compiled.outputs[spec.name]) for spec in self._artifact.signature.outputs
        ]
        self._dtypes = {
            name: compiled.model.outputs[index].get_element_type().to_dtype() for name, index in self._outputs
        }
        self.streams = int(compiled.model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._idle: deque[InferRequest] = deque()
        outputs = self._execute(sample)
        for name, values in expected.items():
            fault = _difference(values, outputs[name], self.precision)
            if fault is not None:
                raise RuntimeFailure(
                    f"{self._path}: output {name}: OpenVINO in {self.precision} differs from ONNX Runtime on a sample, "
                    f"{fault}; use runtime.kind: onnx"
                )
        if self.precision != "f32":
            self._refuse_other_scores()

    def _refuse_other_scores(self) -> None:
        """Check the scores of the golden requests. Distances between coordinates, for example, need 32 bits."""
        try:
            check_golden(self._path.parent, self._artifact, self, narrow=True)
        except GoldenMismatch as error:
            raise RuntimeFailure(
                f"runtime.precision: {self.precision} is too narrow for {self._artifact.name}: {str(error).partition('golden requests: ')[2].partition(';')[0]}; use "
                f"precision: f32"
            ) from error

    def _execute(self, inputs: Inputs, shape: tuple[int, ...] | None = None) -> Inputs:
        """Run the graph, and return the outputs cut to the given leading shape."""
        tensor = import_openvino().Tensor
        request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
        try:
            for index, name in enumerate(self._inputs):
                values = inputs[name]
                # Always shared: a copy would be written into the array that the previous call shared.
                writeable = values if values.flags.writeable and values.flags.c_contiguous else values.copy()
                request.set_input_tensor(index, tensor(writeable, shared_memory=True))
            request.infer(share_outputs=True)
            cut = () if shape is None else tuple(slice(size) for size in shape)
            return {name: request.get_output_tensor(index).data[cut].copy() for name, index in self._outputs}
        except Exception as error:  # OpenVINO's errors share no public base class
            short = isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY)
            shapes = ", ".join(f"{name}{list(values.shape)}" for name, values in inputs.items())
            raise (OutOfMemory if short else RuntimeFailure)(
                f"OpenVINO failed: {reason(error)}, on {shapes}"
            ) from error
        finally:
            self._idle.append(request)


def _difference(expected: np.ndarray, outputs: np.ndarray, precision: str) -> str | None:
    if outputs.shape != expected.shape:
        return f"expected the shape {expected.shape}, got {outputs.shape}"
    if precision != "f32" or np.allclose(
        outputs, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True
    ):
        return None
    return f"got {outputs.ravel()[:3]} instead of {expected.ravel()[:3]}"
