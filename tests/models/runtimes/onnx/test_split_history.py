"""A graph that is cut after the encoded history gives the complete graph's scores. Other graphs are rejected."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.base import Architecture
from models.artifact import Artifact, write_artifact
from models.assembly import InputAssembler
from models.errors import RuntimeFailure
from models.features.catalogue import Catalogue
from models.runtimes import load_cut_runtime, load_runtime
from models.runtimes.base import CutRuntime
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.onnx.split_history import OnnxCutRuntime
from models.signature import ENCODED_HISTORY
from models.training.export import ONNX, weight_writer
from tests.models.worlds import FEATURES, make_batch, make_pooled, make_ranker

TOLERANCE = 1e-5
SHAPES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), min_size=1, max_size=6)


def write_model(root: Path, module: Architecture) -> Artifact:
    signature = module.signature(FEATURES.content_hash)
    return write_artifact(
        root,
        name="ranker",
        signature=signature,
        weights=ONNX,
        write_files=weight_writer(module, signature),
        architecture=module.options.model_dump(mode="json"),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cut") / "ranker"
    write_model(root, make_ranker())
    return root


@pytest.fixture(scope="module")
def halves(root: Path) -> CutRuntime:
    return load_cut_runtime(root, Artifact.read(root), OnnxConfig())


def test_first_half_reads_only_the_history(halves: CutRuntime) -> None:
    assert {spec.name for spec in halves.encode_signature.inputs} == {
        "past_attributes",
        "past_popularity",
        "history_rating",
        "history_age_days",
        "profile",
    }
    assert {spec.name for spec in halves.score_signature.inputs}.isdisjoint(
        {"past_attributes", "past_popularity", "history_rating", "history_age_days"}
    )


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_two_halves_give_the_scores_of_the_complete_graph(
    root: Path, halves: CutRuntime, catalogue: Catalogue, shapes: list[tuple[int, int]], seed: int
) -> None:
    artifact = Artifact.read(root)
    batch = make_batch([n for n, _ in shapes], [past for _, past in shapes], seed)
    inputs = InputAssembler(artifact.signature, catalogue)(batch)
    whole = load_runtime(root, artifact, OnnxConfig()).run(inputs)["score"]
    np.testing.assert_allclose(halves.run(inputs)["score"], whole, atol=TOLERANCE, rtol=TOLERANCE)


def test_history_tokens_do_not_depend_on_padding(halves: CutRuntime, catalogue: Catalogue) -> None:
    assemble = InputAssembler(halves.encode_signature, catalogue)
    beside = halves.encode(assemble(make_batch([1, 1], [3, 8])))
    alone = halves.encode(assemble(make_batch([1, 1], [3, 8]).take(np.array([0]))))
    assert (len(alone), alone.shape[1], beside.shape[1]) == (1, 4, 9)
    np.testing.assert_allclose(beside[:1, :4], alone, atol=TOLERANCE)


def test_cuts_a_graph_whose_weights_are_a_hard_link_beside_it(
    root: Path, halves: CutRuntime, catalogue: Catalogue, tmp_path: Path
) -> None:
    model = onnx.load(root / ONNX)
    onnx.save(model, tmp_path / ONNX, save_as_external_data=True, location="weights.bin")
    (tmp_path / "weights.bin").rename(tmp_path / "other")
    (tmp_path / "weights.bin").hardlink_to(tmp_path / "other")
    signature = Artifact.read(root).signature
    inputs = InputAssembler(signature, catalogue)(make_batch([5, 3], [2, 0]))
    linked = OnnxCutRuntime(tmp_path / ONNX, signature)
    np.testing.assert_allclose(linked.run(inputs)["score"], halves.run(inputs)["score"], atol=TOLERANCE)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(RuntimeFailure, match=r"its weights cannot be read: .*; copy the artifact again"):
        OnnxCutRuntime(tmp_path / ONNX, signature)


def test_encoded_history_is_not_an_output_of_the_artifact(root: Path) -> None:
    graph = onnx.load(root / ONNX).graph
    assert [value.name for value in graph.output] == ["score"]
    assert ENCODED_HISTORY in [value.name for value in graph.value_info]


def test_rejects_a_model_that_encodes_no_history(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "pooled", make_pooled())
    with pytest.raises(
        RuntimeFailure, match=r"no value 'encoded_history'.*train the model again, as a history_ranker"
    ):
        load_cut_runtime(tmp_path / "pooled", artifact, OnnxConfig())


def test_rejects_cutting_a_torch_model(root: Path) -> None:
    with pytest.raises(RuntimeFailure, match=r"torch cannot cut ranker in two; use runtime\.kind: onnx"):
        load_cut_runtime(root, Artifact.read(root), TorchConfig())


def test_rejects_a_file_that_is_not_an_onnx_graph(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "ranker", make_ranker())
    (tmp_path / "ranker" / ONNX).write_bytes(b"no graph")
    with pytest.raises(RuntimeFailure, match="cannot be read as an ONNX graph"):
        load_cut_runtime(tmp_path / "ranker", artifact, OnnxConfig())


def test_rejects_a_history_encoded_from_candidates(root: Path, tmp_path: Path) -> None:
    artifact = Artifact.read(root)
    inputs = [
        spec.model_copy(update={"source": "item.popularity"}) if spec.name == "past_popularity" else spec
        for spec in artifact.signature.inputs
    ]
    other = artifact.model_copy(
        update={"signature": artifact.signature.model_copy(update={"inputs": tuple(inputs)})}
    )
    with pytest.raises(RuntimeFailure, match="only on inputs of the request, got past_popularity"):
        load_cut_runtime(root, other, OnnxConfig())
