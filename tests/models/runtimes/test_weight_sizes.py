"""Weight sizes, read before the weights are loaded."""

from pathlib import Path

import pytest

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.artifact import Artifact, write_artifact
from models.errors import ArtifactError, RuntimeFailure
from models.importing.lightgbm import load
from models.runtimes import check_model, held_weights
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.trees.files import LIGHTGBM_FILE
from models.runtimes.weight_sizes import Weights, weights_of
from models.training.export import ONNX, SAFETENSORS, weight_writer
from tests.models.runtimes.trees.models import artifact_of, lightgbm_text
from tests.models.text.crossencoders import bert
from tests.models.worlds import RANKER, make_pooled, make_ranker


def written(root: Path, module: Architecture, *, onnx: bool = False) -> Artifact:
    signature = module.signature("")
    return write_artifact(
        root,
        name="model",
        signature=signature,
        weights=SAFETENSORS,
        write_files=weight_writer(module, signature, onnx=onnx),
        architecture=module.options.model_dump(mode="json"),
    )


def test_layers_of_a_ranker_can_be_split_by_heads(tmp_path: Path) -> None:
    module = make_ranker()
    weights = weights_of(tmp_path / "model", written(tmp_path / "model", module))
    width, hidden = RANKER.width, RANKER.hidden
    layer_bytes = 4 * (4 * width * width + 2 * width * hidden)
    assert weights.whole_bytes == sum(4 * tensor.numel() for tensor in module.state_dict().values())
    assert weights.split_bytes == RANKER.layers * layer_bytes
    assert (weights.heads, weights.tokens, weights.torch, weights.onnx) == (2, 1, True, False)
    assert weights.of_a_rank(2) == weights.whole_bytes - weights.split_bytes // 2
    assert weights.of_a_rank(1) == weights.whole_bytes
    assert weights.work == sum(p.numel() for p in module.parameters() if p.dim() == 2)


def test_a_pruned_and_factorised_ranker_is_split_by_its_remaining_heads(tmp_path: Path) -> None:
    sizes = {
        **{f"layers.0.{name}_proj": {"outputs": 12} for name in "qkv"},
        "layers.0.o_proj": {"inputs": 12, "rank": 2},
        "layers.1.k_proj": {"rank": 3},
    }
    options = {**RANKER.model_dump(mode="json"), "heads": 4, "linears": sizes}
    weights = weights_of(tmp_path / "model", written(tmp_path / "model", build_architecture(options)))
    assert weights.heads == 1  # three heads in the first layer, four in the second
    width, hidden = RANKER.width, RANKER.hidden
    first = 3 * width * 12 + 12 * 2 + 2 * width * hidden  # each rank has the second factor of o_proj in full
    second = 3 * width * width + 3 * width + 2 * width * hidden  # and the first factor of k_proj
    assert weights.split_bytes == 4 * (first + second)


def test_a_pruned_text_model_cannot_be_split(tmp_path: Path) -> None:
    linears = {"model.bert.encoder.layer.0.intermediate.dense": {"rank": 4}}
    module = build_architecture({**bert().options.model_dump(mode="json"), "linears": linears})
    weights = weights_of(tmp_path / "model", written(tmp_path / "model", module))
    assert (weights.heads, weights.split_bytes, weights.layers) == (0, 0, 5)
    with pytest.raises(RuntimeFailure, match="a pruned or factorised text model cannot be split"):
        held_weights(runtime_config(kind="deepspeed", shards=2), weights)


def test_more_ranks_than_the_model_can_be_split_over_are_refused(tmp_path: Path) -> None:
    sizes = {f"layers.0.{name}_proj": {"outputs": 4} for name in "qkv"} | {"layers.0.o_proj": {"inputs": 4}}
    options = {**RANKER.model_dump(mode="json"), "heads": 4, "linears": sizes}
    artifact = written(tmp_path / "model", build_architecture(options))
    for kind, shards, message in (
        ("deepspeed", 2, "runtime.shards: must divide the attention heads of every layer, and so 1, got 2"),
        ("accelerate", 3, "runtime.shards: must be at most the number of layers, 2, got 3"),
    ):
        with pytest.raises(RuntimeFailure, match=message):
            check_model(tmp_path / "model", artifact, runtime_config(kind=kind, shards=shards))
        check_model(tmp_path / "model", artifact, runtime_config(kind=kind, shards=1))
    with pytest.raises(RuntimeFailure, match=r"has no \.onnx file for onnx"):
        check_model(tmp_path / "model", artifact, runtime_config(kind="onnx"))


def test_a_model_without_layers_cannot_be_split(tmp_path: Path) -> None:
    weights = weights_of(tmp_path / "model", written(tmp_path / "model", make_pooled()))
    assert (weights.split_bytes, weights.heads) == (0, 0)
    assert weights.of_a_rank(4) == weights.whole_bytes


def test_size_of_an_onnx_only_model_is_its_file_size(tmp_path: Path) -> None:
    artifact = written(tmp_path / "model", make_ranker(), onnx=True)
    assert weights_of(tmp_path / "model", artifact).onnx
    brought = artifact.model_copy(update={"files": {ONNX: ""}, "weights": ONNX, "architecture": {}})
    size = (tmp_path / "model" / ONNX).stat().st_size
    assert weights_of(tmp_path / "model", brought) == Weights(
        size, largest_bytes=size, work=size // 4, onnx=True, torch=False
    )


def test_size_of_trees_without_a_graph_is_that_of_the_file_of_their_library(tmp_path: Path) -> None:
    artifact = artifact_of(load(lightgbm_text(tmp_path / "m", linear_tree=True)), tmp_path / "model")
    weights = weights_of(tmp_path / "model", artifact)
    assert weights.whole_bytes == (tmp_path / "model" / LIGHTGBM_FILE).stat().st_size
    assert weights.native_bytes == weights.whole_bytes
    assert (weights.onnx, weights.torch, weights.fastest) == (False, False, "lightgbm")
    assert held_weights(runtime_config(kind="lightgbm"), weights).rank_bytes == 6 * weights.native_bytes


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 64, (2).to_bytes(8, "little") + b"[]"])
def test_rejects_a_file_that_is_not_safetensors(tmp_path: Path, content: bytes) -> None:
    artifact = written(tmp_path / "model", make_ranker())
    (tmp_path / "model" / SAFETENSORS).write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read as safetensors"):
        weights_of(tmp_path / "model", artifact)
