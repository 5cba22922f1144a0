"""Integer types of a graph's weights, read from its file without the package onnx."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from models.errors import ArtifactError
from models.runtimes.graph_types import quantised_types


def write(path: Path, *weights: np.ndarray) -> None:
    initializers = [numpy_helper.from_array(weight, f"w{number}") for number, weight in enumerate(weights)]
    onnx.save(helper.make_model(helper.make_graph([], "graph", [], [], initializers)), path)


def test_finds_integers_of_8_bits_among_other_weights(tmp_path: Path) -> None:
    floats, rows = np.ones((300, 5), np.float32), np.arange(400)
    write(tmp_path / "floats.onnx", floats, rows)
    assert quantised_types(tmp_path / "floats.onnx") == set()
    write(tmp_path / "both.onnx", floats, rows, rows.astype(np.int8), rows.astype(np.uint8))
    assert quantised_types(tmp_path / "both.onnx") == {"int8", "uint8"}


def test_refuses_a_file_that_ends_too_early(tmp_path: Path) -> None:
    write(tmp_path / "graph.onnx", np.ones((300, 5), np.float32))
    whole = (tmp_path / "graph.onnx").read_bytes()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        (tmp_path / "graph.onnx").write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match="cannot be read as an ONNX graph"):
            quantised_types(tmp_path / "graph.onnx")
