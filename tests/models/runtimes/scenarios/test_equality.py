"""All runtimes give the scores of eager PyTorch for the same artifact, for inputs of any shape."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.architectures.options import DlrmOptions
from models.artifact import write_artifact
from models.assembly import InputAssembler
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.registry import runtime_config
from models.signature import Inputs
from models.training.export import ONNX, weight_writer
from tests.models.runtimes.artifacts import write_model
from tests.models.worlds import FEATURES, make_batch, make_catalogue, make_pooled, make_ranker, make_reranker

RUNTIMES: tuple[dict[str, str], ...] = (
    {"kind": "torch"},
    {"kind": "torchscript"},
    {"kind": "onnx"},
    {"kind": "openvino", "shapes": "buckets"},
    {"kind": "openvino", "shapes": "dynamic"},
)
TOLERANCE = 1e-4
SHAPES = st.lists(st.tuples(st.integers(0, 150), st.integers(0, 8)), min_size=1, max_size=6).filter(
    lambda shapes: any(candidates for candidates, _ in shapes)
)


class Loaded:
    """One artifact, loaded by each runtime."""

    def __init__(self, root: Path, module: Architecture) -> None:
        self.root = root / "model"
        self.artifact = write_model(self.root, module, FEATURES.content_hash, onnx=True)
        self.runtimes: list[Runtime] = [
            load_runtime(root / "model", self.artifact, runtime_config(**options)) for options in RUNTIMES
        ]
        self.assembler = InputAssembler(self.artifact.signature, make_catalogue(root / "catalogue"))

    def assert_equal_on(self, batch: RaggedBatch) -> None:
        inputs = self.assembler(batch)
        torch, *others = (
            self.assembler.flatten(runtime.run(inputs), batch)["score"] for runtime in self.runtimes
        )
        assert torch.shape == (batch.candidate_count,)
        for scores in others:
            assert scores.dtype == torch.dtype == np.float32
            np.testing.assert_allclose(scores, torch, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("ranker"), make_ranker())


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("reranker"), make_reranker())


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("pooled"), make_pooled())


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_pooled_ranker_scores_are_equal(pooled: Loaded, shapes: list[tuple[int, int]], seed: int) -> None:
    pooled.assert_equal_on(make_batch([n for n, _ in shapes], [past for _, past in shapes], seed))


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_history_ranker_scores_are_equal(ranker: Loaded, shapes: list[tuple[int, int]], seed: int) -> None:
    ranker.assert_equal_on(make_batch([n for n, _ in shapes], [past for _, past in shapes], seed))


@given(st.lists(st.integers(1, 15), min_size=1, max_size=6), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_reranker_scores_are_equal(reranker: Loaded, lengths: list[int], seed: int) -> None:
    reranker.assert_equal_on(make_batch(lengths, [0] * len(lengths), seed))


def test_scores_are_equal_for_lists_of_one_length_without_history(ranker: Loaded) -> None:
    ranker.assert_equal_on(make_batch([200] * 4, [0] * 4))


@pytest.mark.parametrize("dense_per_request", [False, True])
def test_dlrm_scores_are_equal(tmp_path: Path, dense_per_request: bool) -> None:
    options = DlrmOptions(
        dense=5, fields=3, rows=11, width=8, bottom=(6,), top=(7,), dense_per_request=dense_per_request
    )
    module = build_architecture(options.model_dump())
    signature = module.signature("")
    artifact = write_artifact(
        tmp_path / "dlrm",
        name="dlrm",
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature),
        architecture=options.model_dump(mode="json"),
    )
    random = np.random.default_rng(0)
    inputs: Inputs = {
        "dense": random.normal(size=(2 if dense_per_request else 9, 5)).astype(np.float32),
        "sparse": random.integers(0, 11, (9, 3)),
    }
    if dense_per_request:
        inputs["request_of"] = np.repeat([0, 1], [4, 5])
    torch, *others = (
        load_runtime(tmp_path / "dlrm", artifact, runtime_config(**options)).run(inputs)["score"]
        for options in RUNTIMES
    )
    for scores in others:
        assert scores.shape == (9,)
        np.testing.assert_allclose(scores, torch, atol=TOLERANCE)
