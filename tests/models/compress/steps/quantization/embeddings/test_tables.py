"""Embedding tables in int8: one gather per lookup, exact to half a step, in memory and beside the graph."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.artifact import write_artifact
from models.compress.steps.base import Model
from models.compress.steps.quantization.embeddings.row_codec import encode_rows
from models.compress.steps.quantization.embeddings.tables import quantise_table, tables_of
from models.compress.steps.quantization.graph import Graph
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.runtimes.onnx import OnnxSession
from models.runtimes.weight_sizes import weights_of
from models.signature import InputSpec, OutputSpec, Signature
from tests.models.compress.steps.quantization.parents import quantise

ROWS, WIDTH = 400, 6
SIGNATURE = Signature(
    inputs=(InputSpec(name="row", source="item.row", dtype="int64", shape=(2,)),),
    outputs=(OutputSpec(name="score", shape=(2, WIDTH)),),
)


def table_values(seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    spread = np.exp(random.normal(size=(ROWS, 1)))
    return (spread * random.normal(size=(ROWS, WIDTH))).astype(np.float32)


def write_graph(path: Path, values: NDArray[np.float32], *, beside: bool = False, tied: bool = False) -> None:
    nodes = [helper.make_node("Gather", ["table", "row"], ["score"])]
    if tied:
        nodes.append(helper.make_node("MatMul", ["score", "transposed"], ["all"]))
        nodes.insert(0, helper.make_node("Transpose", ["table"], ["transposed"]))
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info("row", TensorProto.INT64, ["n", 2])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 2, WIDTH])],
        [numpy_helper.from_array(values, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path, save_as_external_data=beside, location=f"{path.name}.data", size_threshold=0)


def write_lookup(root: Path, values: NDArray[np.float32], *, beside: bool = False) -> Model:
    artifact = write_artifact(
        root,
        name="lookup",
        signature=SIGNATURE,
        weights="model.onnx",
        write_files=lambda staging: write_graph(staging / "model.onnx", values, beside=beside),
    )
    return Model(root, artifact)


@pytest.mark.parametrize("beside", [False, True])
def test_looked_up_rows_are_those_of_the_codec(tmp_path: Path, catalogue: Catalogue, beside: bool) -> None:
    values = table_values()
    parent = write_lookup(tmp_path / "parent", values, beside=beside)
    child, outcome = quantise(parent, tmp_path / "child", catalogue, mode="embeddings")
    rows = np.array([[0, 399], [7, -1], [7, 200]])
    found = OnnxSession(child.root / "model.onnx", "lookup").run(["score"], {"row": rows})["score"]
    coded = encode_rows(values)
    assert found.shape == (3, 2, WIDTH)
    np.testing.assert_allclose(found, coded.decoded()[rows], rtol=1e-5)
    assert (np.abs(found - values[rows]) <= 0.501 * coded.scales()[rows][..., None]).all()
    assert outcome.tables["Embedding tables"][0]["error"] < 0.01


def test_a_large_table_stays_beside_the_graph(tmp_path: Path, catalogue: Catalogue) -> None:
    values = np.tile(table_values(), (500, 1))
    parent = write_lookup(tmp_path / "parent", values, beside=True)
    child, _ = quantise(parent, tmp_path / "child", catalogue, mode="embeddings")
    sizes = {name: (child.root / name).stat().st_size for name in child.artifact.files}
    assert sizes["model.onnx.data"] == len(values) * (WIDTH + 1)
    assert weights_of(child.root, child.artifact).whole_bytes == sum(sizes.values())
    rows = np.array([[0, 199_999]])
    found = OnnxSession(child.root / "model.onnx", "lookup").run(["score"], {"row": rows})["score"]
    np.testing.assert_allclose(found, encode_rows(values).decoded()[rows], rtol=1e-5)


def test_small_and_tied_tables_are_left(tmp_path: Path) -> None:
    write_graph(tmp_path / "graph.onnx", table_values())
    graph = Graph.read(tmp_path / "graph.onnx")
    assert [table.rows for table in tables_of(graph, ROWS)] == [ROWS]
    assert tables_of(graph, ROWS + 1) == []
    write_graph(tmp_path / "tied.onnx", table_values(), tied=True)
    assert tables_of(Graph.read(tmp_path / "tied.onnx"), 1) == []


def test_refuses_a_model_without_tables(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_lookup(tmp_path / "parent", table_values())
    with pytest.raises(TrainingError, match="has no embedding table with at least min_rows: 401 rows"):
        quantise(parent, tmp_path / "child", catalogue, mode="embeddings", min_rows=401)
    assert not (tmp_path / "child").exists()


def test_refuses_a_table_that_is_not_finite(tmp_path: Path) -> None:
    values = table_values()
    values[3, 1] = np.inf
    write_graph(tmp_path / "graph.onnx", values)
    graph = Graph.read(tmp_path / "graph.onnx")
    with pytest.raises(TrainingError, match="the table table has numbers that are NaN or infinite"):
        quantise_table(graph, tables_of(graph, 1)[0])
