"""Graphs that a step changes: unreadable ones, weights in other files, and copies of weights."""

import errno
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.compress.running.failures import is_full_disk
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import layers_of
from models.errors import ArtifactError
from models.runtimes.onnx import OnnxSession
from tests.models.compress.full_disk import files_up_to

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(path: Path, *, opset: int = 17, beside: bool = False) -> None:
    """Write a graph with a product by a copy of a weight, and one by a constant."""
    nodes = [
        helper.make_node("Identity", ["w"], ["copy"]),
        helper.make_node("MatMul", ["x", "copy"], ["y"]),
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(MATRIX.T.copy())),
        helper.make_node("MatMul", ["y", "c"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(MATRIX, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path, save_as_external_data=beside, location="weights.bin", size_threshold=0)


def test_copies_and_constants_are_weights(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx")
    graph = Graph.read(tmp_path / "graph.onnx")
    assert [layer.weight for layer in layers_of(graph)] == ["w", "c"]
    assert all(node.name for node in graph.nodes)


def test_a_graph_with_branches_stays_valid(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(MATRIX)),
        helper.make_node("If", ["flag"], ["chosen"], then_branch=branch, else_branch=branch),
        helper.make_node("Gemm", ["x", "chosen"], ["y"], transA=1),
    ]
    graph = helper.make_graph(
        nodes,
        "branches",
        [
            helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, "n"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a"
    )
    Graph.read(tmp_path / "a").save(tmp_path / "b.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "b.onnx"), full_check=True)
    session = OnnxSession(tmp_path / "b.onnx", "test")
    x = np.ones((2, 4), dtype=np.float32)
    assert (session.run(["y"], {"flag": np.array(True), "x": x})["y"] == x.T @ MATRIX).all()


def test_reads_weights_beside_the_graph_even_if_they_are_hard_links(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx", beside=True)
    (tmp_path / "link").hardlink_to(tmp_path / "weights.bin")
    np.testing.assert_array_equal(Graph.read(tmp_path / "graph.onnx").values("w"), MATRIX)


def test_a_graph_in_memory_leaves_large_weights_where_they_are(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx")
    graph = Graph.read(tmp_path / "graph.onnx")
    large = np.ones((2, 1 << 19), dtype=np.float32)
    graph.put("w", large)
    graph.put("c", large.T)
    model, weights = graph.in_memory(["y"])
    assert len(model) < 1000
    assert set(weights) == {"w", "c"}
    found = OnnxSession(model, "test", weights=weights).run(["y"], {"x": np.ones((1, 2), dtype=np.float32)})
    assert (found["y"] == 2).all()


def test_a_full_disk_is_told_from_other_errors_while_large_weights_are_written(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx", beside=True)
    graph = Graph.read(tmp_path / "graph.onnx")
    graph.put("w", np.ones((2, 1 << 19), dtype=np.float32))
    with files_up_to(1 << 20), pytest.raises(OSError, match="File too large") as raised:
        graph.save(tmp_path / "saved.onnx")
    assert is_full_disk(raised.value)
    assert raised.value.errno == errno.EFBIG


def test_large_weights_of_any_type_are_written_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx", beside=True)
    graph = Graph.read(tmp_path / "graph.onnx")
    bfloat16 = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    values = np.arange(1 << 21, dtype=np.float32).reshape(2, -1).astype(bfloat16)
    graph.put("w", values)
    graph.save(tmp_path / "saved.onnx")
    assert (Graph.read(tmp_path / "saved.onnx").values("w") == values).all()


def test_new_names_are_not_those_of_an_earlier_step(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx")
    graph = Graph.read(tmp_path / "graph.onnx")
    assert [graph.new_name(name) for name in ("y", "new", "new", "new_part")] == [
        "2.y",
        "new",
        "2.new",
        "3.new_part",
    ]


def test_refuses_a_missing_weight_file(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx", beside=True)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ArtifactError, match=r"the weight w cannot be read: .*weights.bin"):
        Graph.read(tmp_path / "graph.onnx").values("w")


def test_refuses_an_old_opset(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx", opset=12)
    with pytest.raises(ArtifactError, match="opset must be at least 13, got 12; export the model again"):
        Graph.read(tmp_path / "graph.onnx")


def test_refuses_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="cannot be read as an ONNX graph"):
        Graph.read(tmp_path / "graph.onnx")
