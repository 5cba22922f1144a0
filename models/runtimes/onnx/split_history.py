"""A ranker's ONNX graph, cut in two after the encoded history, so that encoded histories can be cached.

The artifact keeps one graph, which is cut on loading. This needs the package ``onnx``, which training installs and
serving otherwise does not need. If both halves use a weight, both sessions hold a copy, because ONNX Runtime rearranges
weights for each session.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from models.errors import RuntimeFailure
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx import OnnxSession
from models.runtimes.onnx.outside_weights import mapped_weights
from models.signature import ENCODED_HISTORY, Inputs, Signature

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


class OnnxCutRuntime:
    """Two sessions from one graph. The first encodes histories, the second computes the outputs from encoded histories.

    Attributes:
        encode_signature: inputs for the first half.
        score_signature: inputs for the second half, without the encoded histories.
    """

    def __init__(self, path: Path, signature: Signature, config: OnnxConfig | None = None) -> None:
        """Cut and load the model at ``path``.

        Args:
            path: the ONNX graph.
            signature: the graph's inputs and outputs.
            config: options of both sessions. None: the defaults.

        Raises:
            RuntimeFailure: the graph encodes no history or cannot be loaded, or the package onnx is not installed.
        """
        first, second = cut(path, signature)
        self._outputs = [spec.name for spec in signature.outputs]
        self._encode = _session(first, path, "first", config)
        self._score = _session(second, path, "second", config)
        self.encode_signature = _restricted(signature, self._encode.inputs)
        self.score_signature = _restricted(signature, self._score.inputs)

    def encode(self, inputs: Inputs) -> NDArray[Any]:
        """Return the encoded histories (B, T, ...) for the inputs in ``encode_signature``.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        return self._encode.run([ENCODED_HISTORY], inputs)[ENCODED_HISTORY]

    def score(self, inputs: Inputs, encoded: NDArray[Any]) -> Inputs:
        """Return the outputs by name for the inputs in ``score_signature`` and the encoded histories.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        return self._score.run(self._outputs, {**inputs, ENCODED_HISTORY: encoded})

    def run(self, inputs: Inputs) -> Inputs:
        """Return the outputs by name for all inputs, as the complete graph does."""
        encoded = self.encode({name: inputs[name] for name in _names(self.encode_signature)})
        return self.score({name: inputs[name] for name in _names(self.score_signature)}, encoded)


def cut(path: Path, signature: Signature) -> "tuple[ModelProto, ModelProto]":
    """Return two graphs: from the inputs to the encoded history, and from there to the outputs.

    Weights in another file stay there, and both graphs refer to it.

    Raises:
        RuntimeFailure: the graph cannot be read or encodes no history, or the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise RuntimeFailure(
            "the package onnx, which cuts the model in two, is not installed; pip install onnx"
        ) from error
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors share no public base class
        raise RuntimeFailure(
            f"{path}: cannot be read as an ONNX graph: {error}; copy the artifact again, or train the model again"
        ) from error
    encoded = [value for value in model.graph.value_info if value.name == ENCODED_HISTORY]
    if not encoded:
        raise RuntimeFailure(
            f"{path}: the graph has no value {ENCODED_HISTORY!r}, because its export is too old or its architecture "
            f"encodes no history; train the model again, as a history_ranker"
        )
    inputs = list(model.graph.input)
    outputs = [value for spec in signature.outputs for value in model.graph.output if value.name == spec.name]
    first = _part(model, inputs, encoded)
    second = _part(model, [*inputs, *encoded], outputs)
    _check_inputs(path, first, signature)
    return first, second


def _session(part: "ModelProto", path: Path, half: str, config: OnnxConfig | None) -> OnnxSession:
    """Return the session of a part, with the weights that are in a file beside ``path``.

    Raises:
        RuntimeFailure: the part or its weights cannot be loaded.
    """
    try:
        weights = mapped_weights(part, path.parent)
    except (OSError, ValueError) as error:
        raise RuntimeFailure(
            f"{path}: its weights cannot be read: {error}; copy the artifact again"
        ) from error
    return OnnxSession(part.SerializeToString(), f"{path}, its {half} half", config, weights)


def _part(model: "ModelProto", inputs: list[Any], outputs: list[Any]) -> "ModelProto":
    """Return the part of a model between the given inputs and outputs.

    The part has only the nodes, weights and inputs that the outputs need, without nodes that compute a given input.
    """
    boundary = {value.name for value in inputs}
    needed = {value.name for value in outputs}
    nodes: list[NodeProto] = []
    for node in reversed(model.graph.node):  # a graph lists every value before its use
        if (set(node.output) - boundary) & needed:
            nodes.append(node)
            needed.update(_names_read(node))
    part = type(model)()
    part.CopyFrom(model)
    graph: GraphProto = part.graph
    weights = [weight for weight in model.graph.initializer if weight.name in needed]
    for field in ("node", "initializer", "input", "output", "value_info"):
        graph.ClearField(field)
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(weights)
    graph.input.extend(value for value in inputs if value.name in needed)
    graph.output.extend(outputs)
    return part


def _names_read(node: "NodeProto") -> Iterator[str]:
    """Yield the names that a node reads, including those inside its branches and loops."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*attribute.graphs, attribute.g):
            for inner in graph.node:
                yield from _names_read(inner)


def _check_inputs(path: Path, first: "ModelProto", signature: Signature) -> None:
    read = {value.name for value in first.graph.input}
    not_per_request = [
        s.name for s in signature.inputs if s.name in read and signature.axes(s)[0] != "requests"
    ]
    if not_per_request:
        raise RuntimeFailure(
            f"{path}: the encoded history may depend only on inputs of the request, got {', '.join(not_per_request)}; "
            f"change these inputs, or leave out history_cache"
        )


def _restricted(signature: Signature, names: set[str]) -> Signature:
    inputs = tuple(spec for spec in signature.inputs if spec.name in names)
    return signature.model_copy(update={"inputs": inputs})


def _names(signature: Signature) -> list[str]:
    return [spec.name for spec in signature.inputs]
