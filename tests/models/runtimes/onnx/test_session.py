"""Every option gives the scores of the defaults, for complete and for cut graphs and inputs of any shape."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.assembly import InputAssembler
from models.errors import RuntimeFailure
from models.features.catalogue import Catalogue
from models.runtimes import load_cut_runtime, load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.onnx import OnnxRuntime, OnnxSession
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.onnx.graphs import SIGNATURE, graph_bytes, write_graph
from tests.models.worlds import FEATURES, make_batch, make_ranker

TOLERANCE = 1e-5  # of another order of operations
SHAPES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), min_size=1, max_size=5).filter(
    lambda shapes: any(count for count, _ in shapes)  # a batch without candidates never reaches a runtime
)
SAME_BITS: dict[str, dict[str, Any]] = {
    "graph_cache": {},
    "io_binding": {"io_binding": True},
    "no arena": {"cpu_mem_arena": False},
    "spinning threads": {"allow_spinning": True, "threads": 2},
    "parallel": {"execution_mode": "parallel", "threads": 2},
}
OTHER_LEVELS = ("disabled", "basic", "extended", "layout")


class Loaded:
    """One artifact, loaded once with each option."""

    def __init__(self, root: Path) -> None:
        self.artifact = write_model(root / "ranker", make_ranker(), FEATURES.content_hash, onnx=True)
        self._root = root
        self.default, self.cut = self.load(), self.load(cut=True)
        self.torch = load_runtime(root / "ranker", self.artifact, TorchConfig())
        self.same_bits: dict[str, Runtime] = {}
        self.same_bits_cut: dict[str, Runtime] = {}
        for name, options in SAME_BITS.items():
            chosen: dict[str, Any] = {"graph_cache": root / "cache"} if name == "graph_cache" else options
            self.same_bits[name] = self.load(**chosen)
            self.same_bits_cut[name] = self.load(cut=True, **chosen)
        self.other_levels = {level: self.load(graph_optimization_level=level) for level in OTHER_LEVELS}

    def load(self, *, cut: bool = False, **options: Any) -> Runtime:
        load = load_cut_runtime if cut else load_runtime
        return load(self._root / "ranker", self.artifact, OnnxConfig(**options))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("options"))


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_options_do_not_change_the_scores(
    loaded: Loaded, catalogue: Catalogue, shapes: list[tuple[int, int]], seed: int
) -> None:
    batch = make_batch([n for n, _ in shapes], [past for _, past in shapes], seed)
    inputs = InputAssembler(loaded.artifact.signature, catalogue)(batch)
    expected, of_halves = (runtime.run(inputs)["score"] for runtime in (loaded.default, loaded.cut))
    for name in SAME_BITS:
        np.testing.assert_array_equal(loaded.same_bits[name].run(inputs)["score"], expected, name)
        np.testing.assert_array_equal(loaded.same_bits_cut[name].run(inputs)["score"], of_halves, name)
    for runtime in (*loaded.other_levels.values(), loaded.torch):
        np.testing.assert_allclose(runtime.run(inputs)["score"], expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("is_bound", [False, True])
def test_error_for_unsuitable_inputs_has_their_shapes(is_bound: bool) -> None:
    session = OnnxSession(graph_bytes(), "small", OnnxConfig(io_binding=is_bound))
    with pytest.raises(RuntimeFailure, match=r"ONNX Runtime failed: .* on x\[1, 2, 3\]"):
        session.run(["score"], {"x": np.zeros((1, 2, 3), np.float32)})


@pytest.mark.parametrize("is_bound", [False, True])
def test_rejects_missing_inputs_and_unknown_outputs(is_bound: bool) -> None:
    session = OnnxSession(graph_bytes(), "small", OnnxConfig(io_binding=is_bound))
    with pytest.raises(RuntimeFailure):
        session.run(["score"], {})
    with pytest.raises(RuntimeFailure):
        session.run(["relevance"], {"x": np.zeros((1, 24), np.float32)})


def test_bound_outputs_belong_to_the_caller(tmp_path: Path) -> None:
    write_graph(tmp_path / "model.onnx")
    runtime = OnnxRuntime(tmp_path / "model.onnx", SIGNATURE, OnnxConfig(io_binding=True))
    first = runtime.run({"x": np.ones((3, 24), np.float32)})["score"]
    kept = first.copy()
    runtime.run({"x": np.full((3, 24), 5, np.float32)})
    np.testing.assert_array_equal(first, kept)


def test_bytes_of_the_model_are_not_kept() -> None:
    data = graph_bytes()
    before = sys.getrefcount(data)
    session = OnnxSession(data, "small")
    assert sys.getrefcount(data) == before
    assert session.outputs == {"score"}


@pytest.mark.parametrize("is_bound", [False, True])
def test_takes_arrays_that_are_not_contiguous(is_bound: bool) -> None:
    session = OnnxSession(graph_bytes(), "small", OnnxConfig(io_binding=is_bound))
    wide = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    strided = session.run(["score"], {"x": wide[:, ::2]})["score"]
    np.testing.assert_array_equal(strided, session.run(["score"], {"x": wide[:, ::2].copy()})["score"])
