"""ONNX graphs of other programs: their inputs, and the one output that becomes the score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from models.errors import ArtifactError, SignatureError
from models.extras import require
from models.features.definition import DType
from models.importing.zip_maps import SEQUENCE, without_zip_maps

if TYPE_CHECKING:
    from onnx import ModelProto

ONNX = "model.onnx"
_MOST_BYTES = 2**31 - 1  # of one protobuf message
_TYPES = (*get_args(DType), "bool")
_DTYPES = {"float": "float32", "double": "float64", "bool": "bool"}


@dataclass(frozen=True)
class GraphTensor:
    """An input or output.

    Attributes:
        dtype: our name of the type, or ONNX's name of a type that we do not have.
        shape: sizes, None for an axis that may have any size.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        """Return name, type and shape, such as "dense float32 (?, 12)"."""
        return f"{self.name} {self.dtype} ({', '.join('?' if n is None else str(n) for n in self.shape)})"


@dataclass(frozen=True)
class Graph:
    """A graph that ONNX Runtime can load."""

    data: bytes
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]


def read_graph(source: Path) -> Graph:
    """Read a graph. Weights in other files next to it are moved into the graph.

    Raises:
        ArtifactError: the graph cannot be read, is too large for one file, or has an input of a type that no feature
            has, such as text.
        MissingPackage: the weights are in other files, and the package onnx is not installed.
    """
    # From the path, so that it finds weights next to the graph.
    session, data = _session(str(source), source), _whole(source)
    if any(node.type.startswith(SEQUENCE) for node in session.get_outputs()):
        data = without_zip_maps(data)
        session = _session(data, source)
    graph = Graph(data, _tensors(session.get_inputs()), _tensors(session.get_outputs()))
    for tensor in graph.inputs:
        if tensor.dtype not in _TYPES:
            raise ArtifactError(
                f"{source}: input {tensor.name}: expected one of {', '.join(_TYPES)}, got {tensor.dtype}; cast or "
                f"encode it outside the graph"
            )
    return graph


def _session(graph: str | bytes, source: Path) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base class
        raise ArtifactError(
            f"{source}: ONNX Runtime cannot load it: {error}; export the model again"
        ) from error


def chosen_output(graph: Graph, wanted: str | None, target: str) -> tuple[str, int | None]:
    """Return the output with the score and, if it has several columns, the column.

    Args:
        graph: the graph.
        wanted: NAME or NAME:COLUMN. None: the output named ``target``, or the only output with one number per row.
        target: the output that the pipeline reads.

    Raises:
        SignatureError: there is no such output, or it is not clear which one is the score.
    """
    by_name = {tensor.name: tensor for tensor in graph.outputs}
    listed = ", ".join(map(str, graph.outputs))
    if wanted is not None:
        name, _, column = wanted.rpartition(":") if wanted not in by_name else (wanted, "", "")
        if name in by_name and (column.isdecimal() or not column):
            return name, int(column) if column else None
        raise SignatureError(f"--output: no such output, got {wanted!r}; the graph has {listed}")
    if target in by_name:
        return target, None
    single = [
        t.name
        for t in graph.outputs
        if t.dtype.startswith("float") and all(n in {None, 1} for n in t.shape[1:])
    ]
    if len(single) == 1:
        return single[0], None
    raise SignatureError(
        f"--output: which output is the score? The graph has {listed}; use --output NAME, or --output NAME:COLUMN for "
        f"an output with several numbers per row"
    )


def with_score(data: bytes, output: str, column: int | None, target: str) -> bytes:
    """Return the graph with one output named ``target``. A graph that has it already is unchanged.

    Raises:
        MissingPackage: the package onnx is needed and not installed.
    """
    if output == target and column is None:
        return data
    require(["onnx"], "import")
    import onnx

    model = onnx.load_model_from_string(data)
    replace_output(model, output, target, [("Gather", column)] if column is not None else [])
    return bytes(model.SerializeToString())


def replace_output(
    model: "ModelProto", output: str, target: str, steps: Sequence[tuple[str, float | int | None]]
) -> None:
    """Make ``target`` the graph's only output: ``output`` after some steps.

    Args:
        model: the graph, which is changed.
        output: an output of the graph.
        target: the new output's name.
        steps: operators in order. ("Gather", c) takes column c, ("Add", x) adds x, ("Mul", x) multiplies by x.
            ("Sigmoid", None), ("Exp", None) and ("Softplus", None) have no number.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    names = {name for node in graph.node for name in (*node.input, *node.output)}
    names |= {tensor.name for tensor in (*graph.input, *graph.initializer)}
    if target in names and target != output:
        for node in graph.node:  # a value inside the graph has the name: give it another
            for field in (node.input, node.output):
                field[:] = [f"{name}_inside" if name == target else name for name in field]
    if target == output:
        for node in graph.node:
            for field in (node.input, node.output):
                field[:] = [f"{name}_inside" if name == output else name for name in field]
        output = f"{output}_inside"
    at = output
    for index, (kind, number) in enumerate([*steps, ("Identity", None)]):
        last = index == len(steps)
        result = target if last else f"{target}_step_{index}"
        inputs = [at]
        if number is not None:
            constant = np.array(number, dtype=np.int64 if kind == "Gather" else np.float32)
            graph.initializer.append(numpy_helper.from_array(constant, f"{result}_number"))
            inputs.append(f"{result}_number")
        attributes: dict[str, Any] = {"axis": 1} if kind == "Gather" else {}
        graph.node.append(helper.make_node(kind, inputs, [result], name=f"rankway_{result}", **attributes))
        at = result
    kept = next((o for o in graph.output if o.name in {output, target}), None)
    dtype = TensorProto.FLOAT if kept is None else kept.type.tensor_type.elem_type or TensorProto.FLOAT
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(target, dtype, None))


def _tensors(nodes: Sequence[Any]) -> tuple[GraphTensor, ...]:
    tensors = []
    for node in nodes:
        kind = node.type.removeprefix("tensor(").removesuffix(")")
        shape = tuple(size if isinstance(size, int) and size >= 0 else None for size in node.shape or ())
        tensors.append(GraphTensor(node.name, _DTYPES.get(kind, kind), shape))
    return tuple(tensors)


def _whole(source: Path) -> bytes:
    """Return the graph's bytes with all weights."""
    data = source.read_bytes()
    if b"location" not in data:  # the key of every weight in another file
        return data
    require(["onnx"], "import")
    import onnx

    model = onnx.load_model(str(source), load_external_data=True)
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if size > _MOST_BYTES:
        raise ArtifactError(
            f"{source}: expected at most 2 GiB of weights, got {size} bytes; export the model in fewer bits"
        )
    return bytes(model.SerializeToString())
