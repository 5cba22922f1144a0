"""A session of ONNX Runtime with the options of ``kind: onnx``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RuntimeFailure
from models.runtimes.checked_inputs import shapes_of
from models.runtimes.graph_inputs import GraphInput
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx.failures import load_failure, reason_of
from models.runtimes.onnx.graph_cache import cached_session
from models.runtimes.onnx.opening import open_session
from models.runtimes.onnx.outside_weights import open_with_weights
from models.signature import Inputs


class OnnxSession:
    """A loaded graph.

    Attributes:
        graph_inputs: the graph's inputs with their types.
        inputs: their names.
        outputs: names of the graph's outputs.
    """

    def __init__(
        self,
        model: Path | bytes,
        name: str,
        config: OnnxConfig | None = None,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a path, or the model's bytes.
            name: model name in errors.
            config: options. None: the defaults.
            weights: weights that are not in the model's bytes. Its graph must refer to another file for each. The graph
                cache, whose entries are found by the model's bytes, is then not used.

        Raises:
            RuntimeFailure: ONNX Runtime cannot load the model, or has none of the providers.
        """
        config = config or OnnxConfig()
        self._binds = config.io_binding
        try:
            if weights:
                self._session = open_with_weights(model, config, weights)
            elif config.graph_cache is None:
                self._session = open_session(model, config)
            else:
                self._session = cached_session(config.graph_cache, model, config)
            nodes, outputs = self._session.get_inputs(), self._session.get_outputs()
        except RuntimeFailure:
            raise
        except Exception as error:  # onnxruntime's errors share no public base class
            raise load_failure(name, error) from error
        self.graph_inputs = [GraphInput(node.name, node.type, tuple(node.shape)) for node in nodes]
        self.inputs = {node.name for node in self.graph_inputs}
        self.outputs = {node.name for node in outputs}

    def run(self, outputs: Sequence[str], inputs: Inputs) -> Inputs:
        """Execute the graph and return the named outputs.

        Raises:
            RuntimeFailure: ONNX Runtime failed on these inputs.
        """
        try:
            values = self._bound(outputs, inputs) if self._binds else self._session.run(outputs, inputs)
        except Exception as error:  # no public base class, as above
            raise RuntimeFailure(
                f"ONNX Runtime failed: {reason_of(error)}, on {shapes_of(inputs)}"
            ) from error
        return {name: np.asarray(value) for name, value in zip(outputs, values, strict=True)}

    def _bound(self, outputs: Sequence[str], inputs: Inputs) -> Sequence[np.ndarray]:
        binding = self._session.io_binding()
        for name, values in inputs.items():
            binding.bind_cpu_input(name, values)
        for name in outputs:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        copied: Sequence[np.ndarray] = binding.copy_outputs_to_cpu()
        return copied
