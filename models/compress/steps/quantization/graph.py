"""An ONNX graph that a step changes. Large weights stay in their file until they are read."""

from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

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
        self._weights = {weight.name: weight for weight in model.graph.initializer}
        self._is_external = any(weight.data_location == weight.EXTERNAL for weight in self._weights.values())
        self._new: dict[str, NDArray[Any]] = {}
        self.nodes: list[NodeProto] = list(model.graph.node)
        self._tidy()

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
        return name in self._weights or name in self._new

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a weight's shape, without reading it."""
        return self._new[name].shape if name in self._new else tuple(self._weights[name].dims)

    def is_float(self, name: str) -> bool:
        """Return whether a weight is float32, without reading it."""
        if name in self._new:
            return self._new[name].dtype == np.float32
        return bool(self._weights[name].data_type == self._weights[name].FLOAT)

    def values(self, name: str) -> NDArray[Any]:
        """Return a weight. One in another file is mapped into memory.

        Raises:
            ArtifactError: the file is missing or too short.
        """
        if name in self._new:
            return self._new[name]
        weight = self._weights[name]
        if weight.data_location == weight.EXTERNAL:
            return self._mapped(weight)
        from onnx import numpy_helper

        return numpy_helper.to_array(weight)

    def put(self, name: str, values: NDArray[Any]) -> str:
        """Add a weight, or replace it. Return its name."""
        self._new[name] = np.ascontiguousarray(values)
        return name

    def readers(self, name: str) -> "list[NodeProto]":
        """Return the nodes that read a value."""
        return [node for node in self.nodes if name in node.input]

    def require_domain(self, domain: str, version: int) -> None:
        """Declare that the graph has operators of another domain."""
        if all(each.domain != domain for each in self._model.opset_import):
            self._model.opset_import.add(domain=domain, version=version)

    def take(self, other: Self) -> None:
        """Become the same as another graph."""
        vars(self).update(vars(other))

    def copy(self) -> Self:
        """Return a graph that can be changed without changing this one. Both share the weights."""
        other = copy(self)
        other._new = dict(self._new)
        other.nodes = [type(node).FromString(node.SerializeToString()) for node in self.nodes]
        return other

    def save(self, path: Path, outputs: Sequence[str] = ()) -> None:
        """Write the graph, with large weights in a file beside it if they were in one, or are too many for one file.

        Args:
            path: the graph's file.
            outputs: names of float32 values that become outputs of the graph, if they are not yet.
        """
        import onnx

        model = self._changed()
        known = {value.name for value in model.graph.output}
        new = [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in outputs
            if name not in known
        ]
        model.graph.output.extend(new)
        names = self._used()
        sizes = {name: self._bytes_of(name) for name in names}
        if not self._is_external and sum(sizes.values()) < _MOST_BYTES:
            model.graph.initializer.extend(self._proto(name) for name in names)
            onnx.save(model, path)
            return
        beside = path.with_name(path.name + _SUFFIX)
        with beside.open("wb") as file:
            for name in names:
                if sizes[name] < _LARGE_BYTES:
                    model.graph.initializer.append(self._proto(name))
                    continue
                file.write(b"\0" * (-file.tell() % _PAGE_BYTES))
                model.graph.initializer.append(self._reference(name, beside.name, file.tell()))
                np.ascontiguousarray(self.values(name)).tofile(file)
        if not beside.stat().st_size:
            beside.unlink()
        onnx.save(model, path)

    def _changed(self) -> "ModelProto":
        """Return the model with the new nodes and without weights."""
        model = type(self._model)()
        model.CopyFrom(self._model)
        model.graph.ClearField("node")
        model.graph.ClearField("initializer")
        model.graph.node.extend(self.nodes)
        return model

    def _used(self) -> list[str]:
        read = {name for node in self.nodes for name in _names_read(node)}
        read |= {value.name for value in self._model.graph.output}
        return [name for name in dict.fromkeys([*self._weights, *self._new]) if name in read]

    def _proto(self, name: str) -> "TensorProto":
        from onnx import numpy_helper

        weight = self._weights.get(name)
        if name not in self._new and weight is not None and weight.data_location != weight.EXTERNAL:
            inside: TensorProto = weight
            return inside
        proto: TensorProto = numpy_helper.from_array(np.ascontiguousarray(self.values(name)), name)
        return proto

    def _reference(self, name: str, file: str, offset: int) -> "TensorProto":
        from onnx import TensorProto, helper

        values = self.values(name)
        reference = TensorProto(
            name=name, dims=values.shape, data_type=helper.np_dtype_to_tensor_dtype(values.dtype)
        )
        reference.data_location = TensorProto.EXTERNAL
        for key, value in {"location": file, "offset": offset, "length": values.nbytes}.items():
            reference.external_data.add(key=key, value=str(value))
        return reference

    def _bytes_of(self, name: str) -> int:
        if name in self._new:
            return self._new[name].nbytes
        weight = self._weights[name]
        return self._mapped(weight).nbytes if weight.data_location == weight.EXTERNAL else weight.ByteSize()

    def _mapped(self, weight: "TensorProto") -> NDArray[Any]:
        from onnx import helper

        where = {entry.key: entry.value for entry in weight.external_data}
        path = self.path.parent / Path(where.get("location", "")).name
        dtype = helper.tensor_dtype_to_np_dtype(weight.data_type)
        try:
            return np.memmap(
                path, dtype=dtype, mode="r", offset=int(where.get("offset", 0)), shape=tuple(weight.dims)
            )
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"{self.path}: the weight {weight.name} cannot be read from {path}: {error}; copy the artifact again"
            ) from error

    def _tidy(self) -> None:
        """Turn constants into weights, skip copies of weights, write products by rows, and name every node."""
        from onnx import numpy_helper

        names = {node.name for node in self.nodes}
        for number, node in enumerate(self.nodes):
            if not node.name:
                node.name = f"{node.op_type}_{number}"
                while node.name in names:
                    node.name += "_"
                names.add(node.name)
        if _has_branches(self.nodes):  # these also read values of the graph
            return
        same: dict[str, str] = {}
        kept: list[NodeProto] = []
        outputs = {value.name for value in self._model.graph.output}
        for node in self.nodes:
            for index, name in enumerate(node.input):
                node.input[index] = same.get(name, name)
            if node.op_type == "Identity" and self.is_weight(node.input[0]) and node.output[0] not in outputs:
                same[node.output[0]] = node.input[0]
                continue
            tensors = [each.t for each in node.attribute if each.name == "value" and len(each.t.dims) > 1]
            if node.op_type == "Constant" and tensors:
                self._new[node.output[0]] = numpy_helper.to_array(tensors[0])
                continue
            kept += _untransposed(node)
        self.nodes = kept


def _untransposed(node: "NodeProto") -> "list[NodeProto]":
    """Return a product as one whose activations are rows. ONNX Runtime joins the two nodes again."""
    from onnx import helper

    flag = next((each for each in node.attribute if node.op_type == "Gemm" and each.name == "transA"), None)
    if flag is None or not flag.i:
        return [node]
    flag.i = 0
    turned = f"{node.name}_rows"
    turn = helper.make_node("Transpose", [node.input[0]], [turned], name=turned, perm=[1, 0])
    node.input[0] = turned
    return [turn, node]


def _has_branches(nodes: "list[NodeProto]") -> bool:
    return any(attribute.graphs or attribute.HasField("g") for node in nodes for attribute in node.attribute)


def _names_read(node: "NodeProto") -> Iterator[str]:
    """Yield the names that a node reads, including those inside its branches and loops."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*attribute.graphs, attribute.g):
            for inner in graph.node:
                yield from _names_read(inner)
