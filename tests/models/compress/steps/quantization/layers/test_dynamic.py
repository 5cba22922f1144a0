"""Dynamic int8: scores stay close, golden requests are the child's own, and the graph can still be cut."""

from pathlib import Path

import numpy as np
import pytest

from models.architectures.dlrm import Dlrm
from models.architectures.history_ranker import HistoryRanker
from models.architectures.layers import layers_of as layers_of_module
from models.architectures.options import DlrmOptions
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers import dynamic
from models.compress.steps.quantization.layers.layers import layers_of
from models.errors import RuntimeFailure, TrainingError
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.onnx import OnnxRuntime
from models.runtimes.onnx.split_history import OnnxCutRuntime
from models.runtimes.precision import precisions
from models.runtimes.weight_sizes import weights_of
from models.signature import Inputs
from tests.models.compress.steps.quantization.parents import (
    quantise,
    ranker_inputs,
    scores,
    write_parent,
    write_ranker,
)
from tests.models.text.crossencoders import bert, tokens
from tests.models.worlds import RANKER, make_pooled, make_ranker, make_reranker


@pytest.mark.parametrize("make", [make_ranker, make_pooled, make_reranker])
def test_scores_stay_close(tmp_path: Path, catalogue: Catalogue, make: type) -> None:
    module = make()
    parent = write_ranker(tmp_path / "parent", catalogue, module)
    child, outcome = quantise(parent, tmp_path / "child", catalogue)
    inputs = ranker_inputs(module, catalogue)
    before, after = scores(parent, inputs), scores(child, inputs)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98
    assert not np.array_equal(before, after)
    assert outcome.facts["layers"] > 3
    assert "int8" in precisions(child.root, child.artifact)["model.onnx"]


def test_a_text_rankers_attention_layers_are_quantised(tmp_path: Path, catalogue: Catalogue) -> None:
    module = bert()
    pairs = tokens(module, 6, 12)
    parent = write_parent(tmp_path / "parent", module, pairs)
    (parent.root / "tokenizer.json").write_text("{}")
    parent.artifact.files["tokenizer.json"] = ""
    child, outcome = quantise(parent, tmp_path / "child", catalogue)
    names = {layer.name for layer in layers_of(Graph.read(parent.root / "model.onnx"))}
    assert any("query" in name for name in names)
    assert layers_of(Graph.read(child.root / "model.onnx")) == []
    assert outcome.facts["layers"] == len(names)
    assert np.corrcoef(scores(parent, pairs), scores(child, pairs))[0, 1] > 0.98
    assert "tokenizer.json" in child.artifact.files


def test_golden_requests_have_the_scores_of_the_child(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    child, _ = quantise(parent, tmp_path / "child", catalogue)
    runtime = OnnxRuntime(child.root / "model.onnx", child.artifact.signature)
    assert check_golden(child.root, child.artifact, runtime)
    assert child.artifact.files["golden.safetensors"] != parent.artifact.files["golden.safetensors"]


def test_graph_can_still_be_cut_after_its_encoded_history(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    child, _ = quantise(parent, tmp_path / "child", catalogue)
    inputs = ranker_inputs(make_ranker(), catalogue)
    cut = OnnxCutRuntime(child.root / "model.onnx", child.artifact.signature)
    assert np.abs(cut.run(inputs)["score"] - scores(child, inputs)).max() < 1e-4


def test_lineage_names_the_parent_and_the_step(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    child, _ = quantise(parent, tmp_path / "child", catalogue, reduce_range=True)
    lineage = child.artifact.lineage["compression"]
    assert (lineage["of"], lineage["parent"]) == (parent.artifact.version, parent.artifact.version)
    assert lineage["steps"][0]["kind"] == "quantize"
    assert lineage["facts"]["weight_bits"] == 7


def test_child_has_a_graph_only_and_torch_refuses_it(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    child, _ = quantise(parent, tmp_path / "child", catalogue)
    assert child.artifact.architecture == {}
    assert set(child.artifact.files) == {"model.onnx", "golden.safetensors"}
    assert not weights_of(child.root, child.artifact).torch
    with pytest.raises(RuntimeFailure, match=r"has no \.safetensors file for torch, got"):
        load_runtime(child.root, child.artifact, runtime_config(kind="torch"))


def test_same_activations_are_scaled_once(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    graph = Graph.read(parent.root / "model.onnx")
    layers = layers_of(graph)
    dynamic.quantise_dynamic(graph, layers, per_channel=True, bits=8)
    kinds = [node.op_type for node in graph.nodes]
    assert kinds.count("MatMulInteger") == sum(len(layer.nodes) for layer in layers)
    assert kinds.count("DynamicQuantizeLinear") < kinds.count("MatMulInteger")


def test_refuses_a_model_without_layers_and_writes_nothing(tmp_path: Path, catalogue: Catalogue) -> None:
    parent = write_ranker(tmp_path / "parent", catalogue)
    child, _ = quantise(parent, tmp_path / "child", catalogue)
    with pytest.raises(TrainingError, match="has no layer to quantise"):
        quantise(child, tmp_path / "again", catalogue)
    assert not (tmp_path / "again").exists()


def test_refuses_weights_that_are_nan_and_writes_nothing(tmp_path: Path, catalogue: Catalogue) -> None:
    module = HistoryRanker(RANKER)
    next(layers_of_module(module.layers)).up_proj.weight.data[0, 0] = float("nan")
    parent = write_parent(tmp_path / "parent", module.eval())
    with pytest.raises(TrainingError, match=r"layers\.0\.up_proj has weights that are NaN or infinite"):
        quantise(parent, tmp_path / "child", catalogue)
    assert not (tmp_path / "child").exists()


def test_dlrm_is_quantised_in_two_steps(tmp_path: Path, catalogue: Catalogue) -> None:
    module = Dlrm(DlrmOptions(dense=3, fields=2, rows=300, width=8, bottom=(16,), top=(16,))).eval()
    random = np.random.default_rng(0)
    inputs: Inputs = {
        "dense": random.normal(size=(5, 3)).astype(np.float32),
        "sparse": random.integers(0, 300, (5, 2)),
    }
    parent = write_parent(tmp_path / "parent", module, inputs)
    tables, _ = quantise(parent, tmp_path / "tables", catalogue, mode="embeddings")
    both, outcome = quantise(tables, tmp_path / "both", catalogue)
    assert outcome.facts["layers"] == 4
    assert [step["mode"] for step in both.artifact.lineage["compression"]["steps"]] == [
        "embeddings",
        "dynamic",
    ]
    assert np.abs(scores(parent, inputs) - scores(both, inputs)).max() < 0.02
