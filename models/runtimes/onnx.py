"""Executes ONNX graphs with ONNX Runtime on the CPU."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from models.errors import RuntimeFailure
from models.runtimes.graph_inputs import GraphInput, input_faults
from models.signature import Inputs, Signature

_FATAL_ONLY = 4  # errors are raised, so they need not be printed too


class OnnxSession:
    """A session with a fixed number of threads.

    The threads do not spin, because replicas share cores with the event loop.

    Attributes:
        graph_inputs: the graph's inputs with their types.
        inputs: their names.
        outputs: names of the graph's outputs.
    """

    def __init__(self, model: str | bytes, name: str, *, threads: int) -> None:
        """Load a model.

        Args:
            model: a path, or the model's bytes.
            name: model name in errors.
            threads: CPU threads per call.

        Raises:
            RuntimeFailure: ONNX Runtime cannot load the model.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no public base class
            raise RuntimeFailure(
                f"{name}: cannot be loaded by ONNX Runtime: {_reason(error)}; export the model again"
            ) from error
        self.graph_inputs = [
            GraphInput(node.name, node.type, tuple(node.shape)) for node in self._session.get_inputs()
        ]
        self.inputs = {node.name for node in self.graph_inputs}
        self.outputs = {node.name for node in self._session.get_outputs()}

    def run(self, outputs: Sequence[str], inputs: Inputs) -> Inputs:
        """Execute the graph and return the named outputs.

        Plain ``run`` is the cheapest call: binding arrays one by one takes 1.5 to 5 times as long.

        Raises:
            RuntimeFailure: ONNX Runtime failed on these inputs.
        """
        try:
            values = self._session.run(outputs, inputs)
        except Exception as error:  # no public base class, as above
            raise RuntimeFailure(f"ONNX Runtime failed: {_reason(error)}, on {_shapes(inputs)}") from error
        return {name: np.asarray(value) for name, value in zip(outputs, values, strict=True)}


class OnnxRuntime:
    """Executes an artifact's complete graph."""

    def __init__(self, path: Path, signature: Signature, *, threads: int) -> None:
        """Load the model at ``path`` and compare its signature with the graph.

        Raises:
            RuntimeFailure: the model cannot be loaded, or the signature declares other inputs or outputs.
        """
        self._session = OnnxSession(str(path), str(path), threads=threads)
        faults = input_faults(signature, self._session.graph_inputs)
        if faults:
            raise RuntimeFailure(
                f"{path}: artifact.yaml must declare the graph's inputs: {', '.join(faults)}; declare each input with "
                f"the graph's name, dtype and shape"
            )
        self._outputs = [spec.name for spec in signature.outputs]
        missing = set(self._outputs) - self._session.outputs
        if missing:
            raise RuntimeFailure(
                f"{path}: the graph lacks the outputs {sorted(missing)}, which artifact.yaml declares; declare "
                f"only the "
                f"graph's outputs"
            )

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the graph.

        Raises:
            RuntimeFailure: ONNX Runtime failed on these inputs.
        """
        return self._session.run(self._outputs, inputs)


def _reason(error: Exception) -> str:
    """Return the message of an error on one line, without its code and without places in ONNX Runtime's own source."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    return re.sub(r"/onnxruntime_src/\S+ .*\) (?=[A-Z])", "", text).removesuffix(".")


def _shapes(inputs: Inputs) -> str:
    return ", ".join(f"{name}{list(values.shape)}" for name, values in inputs.items())
