"""ONNX Runtime on the CPU."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from models.errors import RuntimeFailure
from models.signature import Inputs, Signature

_FATAL_ONLY = 4  # its errors are raised: no need to print them too


class OnnxSession:
    """A session with a fixed number of threads that never spin: replicas share cores with the event loop."""

    def __init__(self, model: str | bytes, name: str, *, threads: int) -> None:
        """Load a model, its path or its bytes; ``name`` is its name in errors."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no public base class
            raise RuntimeFailure(f"{name}: ONNX Runtime cannot load it: {error}") from error
        self.inputs = {node.name for node in self._session.get_inputs()}
        self.outputs = {node.name for node in self._session.get_outputs()}

    def run(self, outputs: Sequence[str], inputs: Inputs) -> Inputs:
        """Execute the graph. Plain ``run`` is the cheapest call: binding arrays one by one costs 1.5 to 5 times it."""
        try:
            values = self._session.run(outputs, inputs)
        except Exception as error:  # as above
            raise RuntimeFailure(f"ONNX Runtime failed on {_shapes(inputs)}: {error}") from error
        return {name: np.asarray(value) for name, value in zip(outputs, values, strict=True)}


class OnnxRuntime:
    """An artifact's whole graph."""

    def __init__(self, path: Path, signature: Signature, *, threads: int) -> None:
        """Load the model at ``path`` and hold its signature against the graph's."""
        self._session = OnnxSession(str(path), str(path), threads=threads)
        declared = {spec.name for spec in signature.inputs}
        wanted = self._session.inputs
        if declared != wanted:
            raise RuntimeFailure(
                f"{path}: the graph has the inputs {sorted(wanted)}, but artifact.yaml declares {sorted(declared)}; "
                f"declare the inputs of the graph"
            )
        self._outputs = [spec.name for spec in signature.outputs]
        missing = set(self._outputs) - self._session.outputs
        if missing:
            raise RuntimeFailure(
                f"{path}: the graph has no output {sorted(missing)}; declare only outputs of the graph"
            )

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the graph."""
        return self._session.run(self._outputs, inputs)


def _shapes(inputs: Inputs) -> str:
    return ", ".join(f"{name}{list(values.shape)}" for name, values in inputs.items())
