"""Shapes that occur often get graphs of their own, which return the same scores."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.kinds.openvino import OpenVinoConfig
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.openvino.frequent_shapes import CALLS, FrequentShapes
from models.runtimes.openvino.graph import Graph
from models.runtimes.openvino.runtime import OpenVinoRuntime
from models.signature import Inputs
from models.training.export import ONNX
from tests.models.runtimes.scenarios.test_equality import TOLERANCE, Loaded
from tests.models.worlds import make_batch, make_ranker

INPUTS: Inputs = {"value": np.ones(3, np.float32)}


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("ranker"), make_ranker())


@pytest.fixture
def runtime(ranker: Loaded) -> OpenVinoRuntime:
    loaded = load_runtime(ranker.root, ranker.artifact, runtime_config(kind="openvino"))
    assert isinstance(loaded, OpenVinoRuntime)
    return loaded


def test_graph_for_one_shape_returns_the_scores_of_torch(ranker: Loaded, runtime: OpenVinoRuntime) -> None:
    assert runtime.frequent is not None
    batches = [make_batch([20, 11], [5, 2], seed) for seed in range(CALLS + 2)]
    for batch in batches:
        inputs = ranker.assembler(batch)
        expected = ranker.runtimes[0].run(inputs)["score"]
        np.testing.assert_allclose(runtime.run(inputs)["score"], expected, atol=TOLERANCE, rtol=TOLERANCE)
        runtime.frequent.wait()
    assert len(runtime.frequent) == 1


def test_graph_for_one_shape_has_the_weights_of_its_release(
    ranker: Loaded, runtime: OpenVinoRuntime, tmp_path: Path
) -> None:
    inputs = ranker.assembler(make_batch([20, 11], [5, 2]))
    before, path = runtime.graph.run(inputs)["score"], ranker.root / ONNX
    kept = path.rename(tmp_path / ONNX)
    try:
        graph = runtime.graph.for_one_shape(OpenVinoConfig(kind="openvino"), inputs)
    finally:
        kept.rename(path)
    np.testing.assert_allclose(graph.run(inputs)["score"], before, atol=TOLERANCE)


def test_rare_shapes_get_no_graph(ranker: Loaded, runtime: OpenVinoRuntime) -> None:
    assert runtime.frequent is not None
    for count in range(1, CALLS):
        runtime.run(ranker.assembler(make_batch([count], [3])))
    runtime.frequent.wait()
    assert len(runtime.frequent) == 0


def refuse(inputs: Inputs) -> Graph:
    raise RuntimeFailure("cannot be compiled")


def test_shape_that_cannot_be_compiled_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    frequent = FrequentShapes(refuse, weight_bytes=1, calls=2)
    for _ in range(6):
        assert frequent.graph_for((3,), INPUTS) is None
        frequent.wait()
    assert caplog.text.count("cannot be compiled") == 1


def test_large_models_have_only_the_graph_for_all_shapes() -> None:
    frequent = FrequentShapes(refuse, weight_bytes=1 << 27, calls=1)
    assert frequent.graph_for((3,), INPUTS) is None
    frequent.wait()
    assert len(frequent) == 0


def test_number_of_graphs_is_limited(runtime: OpenVinoRuntime) -> None:
    frequent = FrequentShapes(lambda _: runtime.graph, weight_bytes=1 << 25, calls=1)
    for length in range(5):
        frequent.graph_for((length,), INPUTS)
        frequent.wait()
    assert len(frequent) == 2
