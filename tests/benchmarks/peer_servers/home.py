"""A small DLRM home for the peers: a graph whose scores are easy to compute, and a catalogue of 40 items."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

ITEMS = 40


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home. A score is the mean of the item's dense features plus a thousandth of its sparse sum."""
    artifact, catalogue = tmp_path / "dlrm/artifact", tmp_path / "dlrm/catalogue"
    artifact.mkdir(parents=True)
    catalogue.mkdir()
    random = np.random.default_rng(1)
    np.save(catalogue / "dense.npy", random.standard_normal((ITEMS, 13), dtype=np.float32))
    np.save(catalogue / "sparse.npy", random.integers(0, 50, (ITEMS, 26)))
    np.save(catalogue / "ids.npy", np.array([f"i-{row:06d}".encode() for row in range(ITEMS)]))
    nodes = [
        helper.make_node("ReduceMean", ["dense"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Cast", ["sparse"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["average"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["average", "small"], ["part"]),
        helper.make_node("Add", ["mean", "part"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info("dense", TensorProto.FLOAT, ["n", 13]),
            helper.make_tensor_value_info("sparse", TensorProto.INT64, ["n", 26]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("small", TensorProto.FLOAT, [], [0.026])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, artifact / "model.onnx")
    return tmp_path


def expected_scores(home: Path) -> dict[str, float]:
    """Return each item's score by id."""
    catalogue = home / "dlrm/catalogue"
    dense: NDArray[Any] = np.load(catalogue / "dense.npy")
    sparse: NDArray[Any] = np.load(catalogue / "sparse.npy")
    scores = dense.mean(axis=1) + sparse.sum(axis=1) / 1000
    return {f"i-{row:06d}": float(score) for row, score in enumerate(scores)}
