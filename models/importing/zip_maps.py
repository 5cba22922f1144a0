"""Replace the dictionaries that converters of classifiers return by arrays of probabilities."""

from models.extras import require

SEQUENCE = "seq("
"""The start of the type of such an output, such as seq(map(int64,tensor(float)))."""


def without_zip_maps(data: bytes) -> bytes:
    """Return a graph in which every output of the operator ZipMap is its input, an array (N, classes).

    skl2onnx and onnxmltools end a classifier's graph with this operator unless they are told otherwise.

    Raises:
        MissingPackage: the package onnx is not installed.
    """
    require(["onnx"], "import")
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_model_from_string(data)
    graph = model.graph
    zipped = {node.output[0]: node for node in graph.node if node.op_type == "ZipMap"}
    for index, output in enumerate(graph.output):
        node = zipped.get(output.name)
        if node is None:
            continue
        graph.node.remove(node)
        graph.node.append(helper.make_node("Identity", [node.input[0]], [output.name]))
        classes = max((len(a.ints) or len(a.strings) for a in node.attribute), default=0) or None
        array = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, [None, classes])
        graph.output[index].CopyFrom(array)
    return bytes(model.SerializeToString())
