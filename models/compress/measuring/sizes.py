"""The size of a model: numbers in its weights, and bytes on disk."""

from math import prod
from pathlib import Path

from models.artifact import GOLDEN, Artifact
from models.atomic_directory import settled
from models.compress.figures import Sizes
from models.extras import require
from models.runtimes.safetensors_header import header_of

_TREES = ("nodes_values", "target_weights", "class_weights")
"""The numbers of trees in an ONNX graph: thresholds and leaves."""

_WEIGHTS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT4", "UINT4")
"""The types of weights. Other tensors of a graph are shapes and row numbers."""


def sizes_of(root: Path, artifact: Artifact, suffix: str | None) -> Sizes:
    """Return the size of the weights that a runtime loads.

    Args:
        root: the artifact's folder.
        artifact: its manifest.
        suffix: the ending of the files that the runtime loads. None: the artifact's ``weights``.

    Raises:
        MissingPackage: the weights are an ONNX graph, and the package onnx is not installed.
        ArtifactError: a safetensors file cannot be read.
    """
    root = settled(root)
    names = [name for name in (artifact.weights, *artifact.files) if name != GOLDEN]
    return size_of(
        root / next((name for name in names if suffix is None or name.endswith(suffix)), artifact.weights)
    )


def size_of(weights: Path) -> Sizes:
    """Return the size of one file of weights. That of native trees has no parameters.

    Raises:
        MissingPackage: the weights are an ONNX graph, and the package onnx is not installed.
        ArtifactError: a safetensors file cannot be read.
    """
    if weights.suffix == ".onnx":
        return _of_graph(weights)
    if weights.suffix == ".safetensors":
        shapes = header_of(weights, lambda described: described.shape).values()
        return Sizes(parameters=sum(map(prod, shapes)), disk_bytes=weights.stat().st_size)
    return Sizes(parameters=0, disk_bytes=weights.stat().st_size)


def _of_graph(path: Path) -> Sizes:
    require(["onnx"], "train")
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    outside = {
        entry.value
        for tensor in graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    constants = [each.t for node in graph.node if node.op_type == "Constant" for each in node.attribute]
    types = {onnx.TensorProto.DataType.Value(name) for name in _WEIGHTS}
    weights = [tensor for tensor in (*graph.initializer, *constants) if tensor.data_type in types]
    in_tensors = sum(prod(tensor.dims) for tensor in weights)
    in_trees = sum(len(each.floats) for node in graph.node for each in node.attribute if each.name in _TREES)
    files = [path, *(path.parent / name for name in outside)]
    return Sizes(parameters=in_tensors + in_trees, disk_bytes=sum(file.stat().st_size for file in files))
