"""An artifact's complete ONNX graph as a runtime."""

from pathlib import Path

from models.errors import RuntimeFailure
from models.runtimes.graph_inputs import input_faults
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx.session import OnnxSession
from models.signature import Inputs, Signature


class OnnxRuntime:
    """Executes an artifact's complete graph."""

    def __init__(self, path: Path, signature: Signature, config: OnnxConfig | None = None) -> None:
        """Load the model at ``path`` and compare its signature with the graph.

        Args:
            path: the ONNX graph.
            signature: the inputs and outputs that ``artifact.yaml`` declares.
            config: options. None: the defaults.

        Raises:
            RuntimeFailure: the model cannot be loaded, or the signature declares other inputs or outputs.
        """
        self._session = OnnxSession(path, str(path), config)
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
                f"{path}: the graph lacks the outputs {sorted(missing)}, which artifact.yaml declares; declare only "
                f"the graph's outputs"
            )

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the graph.

        Raises:
            RuntimeFailure: ONNX Runtime failed on these inputs.
        """
        return self._session.run(self._outputs, inputs)
