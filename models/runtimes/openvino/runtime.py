"""Executes an artifact's ONNX graph with OpenVINO on the CPU."""

from pathlib import Path

from models.artifact import GOLDEN, Artifact
from models.errors import RuntimeFailure
from models.runtimes.golden import golden_fault, is_quantised
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.openvino import OpenVinoConfig
from models.runtimes.onnx import OnnxRuntime
from models.runtimes.openvino.compiling import compile_graph, cpu_computes_bf16, refuse_unsupported
from models.runtimes.openvino.graph import Graph, difference
from models.runtimes.openvino.shapes import InputShapes
from models.signature import Inputs

_SAMPLE_SIZE = 3  # not 1, because an output of a wrong length 1 would have the right shape


class OpenVinoRuntime:
    """Executes an artifact's complete graph. Several threads may call it.

    Attributes:
        graph: the graph, which executes inputs of any shape.
    """

    def __init__(self, path: Path, artifact: Artifact, config: OpenVinoConfig) -> None:
        """Compile the graph at ``path``, and compare its outputs for a sample with those of ONNX Runtime.

        OpenVINO executes some invalid graphs, with wrong results. On some CPUs its outputs in bfloat16 have a wrong
        shape.

        Raises:
            RuntimeFailure: the graph cannot be loaded or executed, it differs from the signature, or its outputs differ
                from those of ONNX Runtime.
        """
        self._path, self._artifact, self._config = path, artifact, config
        self._shapes = InputShapes(artifact.signature)
        refuse_unsupported(config)
        sample = self._shapes.sample(_SAMPLE_SIZE)
        expected = OnnxRuntime(path, artifact.signature, OnnxConfig(threads=config.threads)).run(sample)
        self.graph = self._checked(sample, expected)

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the graph.

        Raises:
            RuntimeFailure: the inputs differ from the signature, or OpenVINO failed on them.
        """
        sizes = self._shapes.sizes(inputs)
        if self._config.shapes == "dynamic":
            return self.graph.run(inputs)
        padded = self._shapes.padded(inputs, sizes, self._shapes.bucketed(sizes))
        return self.graph.run(padded, self._shapes.output_shape(sizes) or ())

    def _checked(self, sample: Inputs, expected: Inputs) -> Graph:
        if self._config.precision == "auto":
            if cpu_computes_bf16():
                try:
                    return self._checked_in("bf16", sample, expected)
                except RuntimeFailure:
                    pass  # the CPU lacks an instruction for this graph, or bfloat16 is too narrow for the model
            return self._checked_in("f32", sample, expected)
        return self._checked_in(self._config.precision, sample, expected)

    def _checked_in(self, precision: str, sample: Inputs, expected: Inputs) -> Graph:
        """Compile the graph, and check its scores.

        Raises:
            RuntimeFailure: it cannot be compiled, or its scores differ from the expected scores.
        """
        graph = self.graph = Graph(
            compile_graph(self._path, self._config, precision), self._artifact.signature
        )
        outputs = graph.run(sample)
        for name, values in expected.items():
            is_narrow = precision != "f32" or is_quantised(self._path.parent, self._artifact)
            fault = difference(values, outputs[name], is_narrow=is_narrow)
            if fault is not None:
                raise RuntimeFailure(
                    f"{self._path}: output {name}: OpenVINO in {precision} differs from ONNX Runtime on a sample, "
                    f"{fault}; use runtime.kind: onnx"
                )
        if precision != "f32" and GOLDEN in self._artifact.files:
            # Distances between coordinates, for example, need 32 bits: the walks ranker's scores differ by 8 of 5.
            fault = golden_fault(self._path.parent, self, narrow=True)
            if fault is not None:
                raise RuntimeFailure(
                    f"runtime.precision: {precision} is too narrow for {self._artifact.name}: its {fault}; use "
                    f"precision: f32"
                )
        return graph
