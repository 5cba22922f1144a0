"""Ranges of activations from lists that are executed one after the other, compared with those of all numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.compress.steps.quantization.calibration.calls import Calls, run_graph
from models.compress.steps.quantization.calibration.ranges import activation_ranges
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import activations_of, layers_of
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from tests.models.compress.steps.quantization.parents import work_for, write_ranker
from tests.models.worlds import make_pooled


@pytest.fixture
def calibrated(tmp_path: Path, catalogue: Catalogue) -> tuple[Graph, list[str], Calls]:
    """A graph, the names of its layers' activations, and lists."""
    parent = write_ranker(tmp_path / "parent", catalogue, make_pooled())
    graph = Graph.read(parent.root / "model.onnx")
    calls = Calls.of(work_for(parent, catalogue, tmp_path), parent.artifact.signature, "train", 12)
    return graph, activations_of(graph, layers_of(graph)), calls


def numbers(graph: Graph, names: list[str], calls: Calls) -> dict[str, NDArray[np.float32]]:
    found = list(run_graph(graph, calls, names))
    return {name: np.concatenate([each[i].ravel() for each in found]) for i, name in enumerate(names)}


def test_ranges_are_those_of_all_numbers_together(calibrated: tuple[Graph, list[str], Calls]) -> None:
    graph, names, calls = calibrated
    every = numbers(graph, names, calls)
    assert activation_ranges(graph, names, calls, "minmax", 99.0) == {
        name: (values.min(), values.max()) for name, values in every.items()
    }
    for name, found in activation_ranges(graph, names, calls, "percentile", 99.0).items():
        span = float(np.ptp(every[name]))
        assert found == pytest.approx(np.percentile(every[name], [1, 99]), abs=1e-5 * span)
    for name, found in activation_ranges(graph, names, calls, "entropy", 99.0).items():
        assert every[name].min() <= found[0] <= found[1] <= every[name].max()


def test_inputs_are_assembled_when_they_are_read(calibrated: tuple[Graph, list[str], Calls]) -> None:
    _, _, calls = calibrated
    assert len(calls.inputs) == len(calls.labels) == 12
    assert calls.inputs[0] is not calls.inputs[0]
    assert len(calls.inputs[3:5]) == 2


def test_refuses_activations_that_are_nan(calibrated: tuple[Graph, list[str], Calls]) -> None:
    graph, names, calls = calibrated
    broken = {
        name: np.full_like(values, np.nan) if values.dtype == np.float32 else values
        for name, values in calls.inputs[0].items()
    }
    with pytest.raises(TrainingError, match="are NaN or infinite on the calibration lists"):
        activation_ranges(
            graph, names, replace(calls, inputs=[broken], labels=calls.labels[:1]), "minmax", 99.0
        )
