"""An ONNX graph that a step changes: its nodes and its weights."""

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from models.compress.steps.quantization.graph.names import Names, names_read
from models.compress.steps.quantization.graph.tidying import tidied
from models.compress.steps.quantization.graph.weights import Weights
from models.errors import ArtifactError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

OLDEST_OPSET = 13
"""Older graphs have no scales per column."""
_SUFFIX = ".data"
_LARGE_BYTES = 1 << 20
"""Smaller weights are in the graph's own file."""
_MOST_BYTES = 1 << 30
"""A graph's own file has fewer bytes of weights. Protobuf's limit is twice as much."""
_PAGE_BYTES = 4096
"""Weights in the other file begin at multiples of this, so that they can be mapped into memory."""


class Graph:
    """Nodes and weights of a graph.

    Attributes:
        path: the file that the graph was read from.
        nodes: the nodes, each after those whose outputs it reads. A step replaces this list.
    """

    def __init__(self, model: "ModelProto", path: Path) -> None:
        """Take a model, whose external weights are beside ``path``."""
        self._model, self.path = model, path
        self._weights = Weights(model, path)
        self._outputs = {value.name for value in model.graph.output}
        self.nodes: list[NodeProto] = tidied(list(model.graph.node), self._weights, self._outputs)
        for field in ("node", "initializer"):  # the nodes and weights stay, and are not copied with the model
            model.graph.ClearField(field)
        self._names = Names(self._with_nodes(), self._weights.names())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the graph at ``path``.

        Raises:
            ArtifactError: it cannot be read, or its opset is too old.
        """
        import onnx

        try:
            model = onnx.load(path, load_external_data=False)
        except Exception as error:  # protobuf's errors share no public base class
            raise ArtifactError(
                f"{path}: cannot be read as an ONNX graph: {error}; copy the artifact again, or train the model again"
            ) from error
        opset = max(
            (each.version for each in model.opset_import if each.domain in {"", "ai.onnx"}), default=0
        )
        if 0 < opset < OLDEST_OPSET:
            raise ArtifactError(
                f"{path}: the graph's opset must be at least {OLDEST_OPSET}, got {opset}; export the model again with "
                f"a newer opset"
            )
        return cls(model, path)

    def is_weight(self, name: str) -> bool:
        """Return whether a value is a weight, instead of an input or the output of a node."""
        return name in self._weights

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a weight's shape, without reading it."""
        return self._weights.shape(name)

    def is_float(self, name: str) -> bool:
        """Return whether a weight is float32, without reading it."""
        return self._weights.is_float(name)

    def values(self, name: str) -> NDArray[Any]:
        """Return a weight. One in another file is mapped into memory.

        Raises:
            ArtifactError: the file is missing or too short.
        """
        return self._weights.values(name)

    def put(self, name: str, values: NDArray[Any]) -> str:
        """Add a weight, or replace it. Return its name."""
        self._weights.put(name, values)
        return name

    def new_name(self, wanted: str) -> str:
        """Return a name that is new in the graph, as are all names that continue it with an underscore.

        It is the wanted name if possible, and otherwise has a number in front.
        """
        return self._names.choose(wanted)

    def readers(self, name: str) -> "list[NodeProto]":
        """Return the nodes that read a value."""
        return [node for node in self.nodes if name in node.input]

    def take(self, other: Self) -> None:
        """Become the same as another graph."""
        vars(self).update(vars(other))

    def copy(self) -> Self:
        """Return a graph that can be changed without changing this one. Both share the weights."""
        other = copy(self)
        other._weights, other._names = self._weights.copy(), self._names.copy()
        other.nodes = [type(node).FromString(node.SerializeToString()) for node in self.nodes]
        return other

    def save(self, path: Path, outputs: Sequence[str] = ()) -> None:
        """Write the graph, with large weights in a file beside it if they were in one, or are too many for one file.

        Args:
            path: the graph's file.
            outputs: names of float32 values that become outputs of the graph, if they are not yet.
        """
        import onnx

        model, names = self._with_nodes(outputs), self._used()
        sizes = {name: self._weights.bytes_of(name) for name in names}
        if not self._weights.are_outside and sum(sizes.values()) < _MOST_BYTES:
            model.graph.initializer.extend(self._weights.proto(name) for name in names)
            onnx.save(model, path)
            return
        beside = path.with_name(path.name + _SUFFIX)
        with beside.open("wb") as file:
            for name in names:
                if sizes[name] < _LARGE_BYTES:
                    model.graph.initializer.append(self._weights.proto(name))
                    continue
                file.write(b"\0" * (-file.tell() % _PAGE_BYTES))
                model.graph.initializer.append(self._weights.reference(name, beside.name, file.tell()))
                file.write(_bytes_of(self.values(name)))
        if not beside.stat().st_size:
            beside.unlink()
        onnx.save(model, path)

    def in_memory(self, outputs: Sequence[str] = ()) -> tuple[bytes, Mapping[str, NDArray[Any]]]:
        """Return the graph as bytes, and its large weights, which are not among the bytes.

        Nothing is written, and weights in a file stay there. ``OnnxSession`` takes both.

        Args:
            outputs: names of float32 values that become outputs of the graph, if they are not yet.
        """
        model, outside = self._with_nodes(outputs), dict[str, NDArray[Any]]()
        for name in self._used():
            if self._weights.bytes_of(name) < _LARGE_BYTES:
                model.graph.initializer.append(self._weights.proto(name))
                continue
            outside[name] = self.values(name)
            model.graph.initializer.append(self._weights.reference(name, "memory"))
        return model.SerializeToString(), outside

    def _with_nodes(self, outputs: Sequence[str] = ()) -> "ModelProto":
        """Return the model with the present nodes and without weights."""
        import onnx

        model = type(self._model)()
        model.CopyFrom(self._model)
        model.graph.node.extend(self.nodes)
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in outputs
            if name not in self._outputs
        )
        return model

    def _used(self) -> list[str]:
        read = {name for node in self.nodes for name in names_read(node)} | self._outputs
        return [name for name in self._weights.names() if name in read]


def _bytes_of(values: NDArray[Any]) -> memoryview:
    """Return an array's bytes. ``tofile`` would lose the number of the error if the disk is full."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
