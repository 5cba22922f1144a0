"""The number types in which an artifact's weights are stored."""

from importlib.util import find_spec
from pathlib import Path

from models.artifact import GOLDEN, Artifact
from models.runtimes.safetensors_header import header_of
from models.runtimes.trees.files import LIGHTGBM_FILE, XGBOOST_FILE

_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3",
    "F8_E5M2": "float8_e5m2",
    "I8": "int8",
    "U8": "uint8",
}
_OF_TREES = {LIGHTGBM_FILE: {"float64"}, XGBOOST_FILE: {"float32"}}
"""The number types of thresholds and leaves."""
_ONNX = {"FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT4", "UINT4"}
_CLASSIC = "ai.onnx.ml"
"""The domain of operators for trees and other models that are not networks."""


def precisions(root: Path, artifact: Artifact) -> dict[str, str]:
    """Return the number types of the weights by file, such as "float32".

    Types of row numbers and masks are left out. ONNX graphs need the package onnx, and are left out without it.

    Raises:
        ArtifactError: a safetensors file cannot be read.
    """
    found = {}
    for name in artifact.files:
        if name.endswith(".safetensors") and name != GOLDEN:
            dtypes = header_of(root / name, lambda described: described.dtype).values()
            found[name] = {_SAFETENSORS[dtype] for dtype in dtypes if dtype in _SAFETENSORS}
        elif name.endswith(".onnx") and find_spec("onnx") is not None:
            found[name] = _of_graph(root / name)
        elif name in _OF_TREES:
            found[name] = _OF_TREES[name]
    return {name: ", ".join(sorted(types)) for name, types in found.items() if types}


def _of_graph(path: Path) -> set[str]:
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    types = {onnx.TensorProto.DataType.Name(each.data_type) for each in graph.initializer}
    # The numbers of trees, of linear models and of constants are attributes.
    attributes = [
        each
        for node in graph.node
        if node.domain == _CLASSIC or node.op_type == "Constant"
        for each in node.attribute
    ]
    types |= {"FLOAT" for each in attributes if each.floats}
    types |= {onnx.TensorProto.DataType.Name(each.t.data_type) for each in attributes if each.HasField("t")}
    names = {"FLOAT": "float32", "DOUBLE": "float64"}
    return {names.get(each, each.lower()) for each in types & _ONNX}
