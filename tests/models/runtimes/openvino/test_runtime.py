"""Graphs and inputs that OpenVINO itself would accept, or would execute with wrong results, and its precision."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.artifact import Artifact, write_artifact
from models.assembly import InputAssembler
from models.errors import RuntimeFailure
from models.runtimes import check_runtime, held_weights, load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.openvino.compiling import cpu_computes_bf16
from models.runtimes.openvino.runtime import OpenVinoRuntime
from models.runtimes.weight_sizes import Weights
from models.signature import Inputs, InputSpec, OutputSpec, Signature
from models.training.export import ONNX, weight_writer
from tests.models.worlds import make_batch, make_catalogue, make_ranker

needs_bf16 = pytest.mark.skipif(not cpu_computes_bf16(), reason="this CPU has no instructions for bfloat16")


def graph(*nodes: onnx.NodeProto, opset: int = 17, **weights: Any) -> onnx.ModelProto:
    """Return a graph from ``value`` (n, 2) to ``score``."""
    constants = [onnx.numpy_helper.from_array(np.array(w), name) for name, w in weights.items()]
    inputs = [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n", 2])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, None)]
    made = helper.make_graph([*nodes], "graph", inputs, outputs, constants)
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("acme", 1)]
    return helper.make_model(made, opset_imports=domains, ir_version=9)


def artifact_of(root: Path, content: onnx.ModelProto | bytes, *inputs: InputSpec, **options: Any) -> Artifact:
    """Write an artifact with this graph."""
    declared = inputs or (InputSpec(name="value", source="item.value", shape=(2,)),)
    data = content if isinstance(content, bytes) else content.SerializeToString()

    def write(folder: Path) -> None:
        (folder / ONNX).write_bytes(data)

    signature = Signature(inputs=declared, **options)
    return write_artifact(root, name="small", signature=signature, weights=ONNX, write_files=write)


def loaded(root: Path, artifact: Artifact, **options: Any) -> OpenVinoRuntime:
    runtime = load_runtime(root, artifact, runtime_config(kind="openvino", **options))
    assert isinstance(runtime, OpenVinoRuntime)
    return runtime


SUM = (
    helper.make_node("ReduceSum", ["value", "axes"], ["sum"], keepdims=0),
    helper.make_node("Mul", ["sum", "factor"], ["score"]),
)
AXES = np.array([1], dtype=np.int64)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.fixture
def total(root: Path) -> Artifact:
    return artifact_of(root, graph(*SUM, axes=AXES, factor=np.float32(2)))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not a model", "cannot be loaded"),
        (b"", "cannot be loaded"),
        (graph(*SUM, axes=AXES, factor=np.float32(2)).SerializeToString()[:60], "cannot be loaded"),
        (graph(*SUM, axes=AXES, factor=np.float32(2), opset=99), "Opset 99"),
        (graph(helper.make_node("Frobnicate", ["value"], ["score"], domain="acme")), "Frobnicate"),
        (graph(helper.make_node("Add", ["value", "w"], ["score"]), w=np.ones(3, np.float32)), "Add"),
    ],
    ids=[
        "other file",
        "empty file",
        "truncated file",
        "unknown opset",
        "unknown operator",
        "shapes do not fit",
    ],
)
def test_refuses_a_graph_that_cannot_be_executed(root: Path, content: Any, expected: str) -> None:
    artifact = artifact_of(root, content)
    before = {path: path.read_bytes() for path in root.iterdir()}
    with pytest.raises(RuntimeFailure, match=rf"(?s)model\.onnx: .*{expected}.*; "):
        loaded(root, artifact)
    assert {path: path.read_bytes() for path in root.iterdir()} == before


def test_operator_that_only_openvino_lacks_names_the_other_runtime(root: Path) -> None:
    numbers = ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids")
    leaf: dict[str, Any] = {f"nodes_{name}": [0] for name in numbers}
    leaf |= {f"target_{name}": [0] for name in ("treeids", "nodeids", "ids")}
    leaf |= {"nodes_values": [0.0], "nodes_modes": ["LEAF"], "target_weights": [1.0], "n_targets": 1}
    trees = helper.make_node("TreeEnsembleRegressor", ["value"], ["score"], domain="ai.onnx.ml", **leaf)
    content = graph(trees)
    content.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    artifact = artifact_of(root, content)
    with pytest.raises(
        RuntimeFailure, match=r"OpenVINO in f32: .*TreeEnsembleRegressor.*; use runtime\.kind: onnx"
    ):
        loaded(root, artifact)


def test_nan_weights_give_nan_scores_that_the_warm_up_refuses(root: Path) -> None:
    runtime = loaded(root, artifact_of(root, graph(*SUM, axes=AXES, factor=np.float32(np.nan))))
    assert np.isnan(runtime.run({"value": np.ones((3, 2), np.float32)})["score"]).all()


def test_refuses_a_signature_with_other_inputs_or_outputs(root: Path, total: Artifact) -> None:
    for changes in (
        {"inputs": (InputSpec(name="value", source="item.value", shape=(3,)),)},
        {"outputs": (OutputSpec(name="rating"),)},
    ):
        declared = total.model_copy(update={"signature": total.signature.model_copy(update=changes)})
        with pytest.raises(RuntimeFailure, match=r"value is declared|lacks the outputs \['rating'\]"):
            loaded(root, declared)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, "input value: is missing"),
        (
            {"value": np.ones((3, 4), np.float32)},
            r"must be float32 \(candidates, 2\), got float32 \[3, 4\]",
        ),
        ({"value": np.ones((1, 3, 2), np.float32)}, r"got float32 \[1, 3, 2\]"),
        ({"value": np.ones((3, 2), np.float64)}, "got float64"),
    ],
)
@pytest.mark.parametrize("shapes", ["buckets", "dynamic"])
def test_refuses_inputs_for_which_openvino_would_return_stale_or_wrong_scores(
    root: Path, total: Artifact, shapes: str, inputs: Inputs, expected: str
) -> None:
    runtime, right = loaded(root, total, shapes=shapes), {"value": np.ones((3, 2), np.float32)}
    runtime.run(right)
    with pytest.raises(RuntimeFailure, match=expected):
        runtime.run(inputs)
    assert runtime.run(right)["score"].tolist() == [4, 4, 4]


def test_leaves_inputs_unchanged_and_outputs_are_copies(root: Path, total: Artifact) -> None:
    runtime = loaded(root, total, shapes="dynamic")
    first = {"value": np.full((3, 2), 1, np.float32)}
    kept = runtime.run(first)["score"]
    readonly = np.full((3, 2), 5, np.float32)
    readonly.flags.writeable = False
    strided = np.full((3, 4), 7, np.float32)[:, ::2]
    assert runtime.run({"value": readonly})["score"].tolist() == [20] * 3
    assert runtime.run({"value": strided})["score"].tolist() == [28] * 3
    assert kept.tolist() == [4] * 3
    assert (first["value"] == 1).all()
    assert (readonly == 5).all()


@pytest.mark.parametrize("shapes", ["buckets", "dynamic"])
def test_no_candidates_have_no_scores(root: Path, total: Artifact, shapes: str) -> None:
    scores = loaded(root, total, shapes=shapes).run({"value": np.ones((0, 2), np.float32)})["score"]
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


def test_concurrent_calls_return_their_own_scores(root: Path, total: Artifact) -> None:
    runtime = loaded(root, total, threads=2, hint="throughput")
    assert runtime.graph.streams == 2

    def score(number: int) -> bool:
        values = np.full((1 + number % 5, 2), number, np.float32)
        return bool((runtime.run({"value": values})["score"] == 4 * number).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(score, range(800)))


def test_models_may_be_loaded_by_several_threads(root: Path, total: Artifact) -> None:
    def score(number: int) -> list[float]:
        return list(loaded(root, total).run({"value": np.full((1, 2), number, np.float32)})["score"])

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(score, range(8))] == [[4 * number] for number in range(8)]


def test_does_not_pin_threads_to_cores(root: Path, total: Artifact) -> None:
    before = os.sched_getaffinity(0)
    loaded(root, total).run({"value": np.ones((3, 2), np.float32)})
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    assert {frozenset(os.sched_getaffinity(task)) for task in tasks} == {frozenset(before)}


def test_more_streams_than_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="streams: must be at most threads, 1, got 2; use fewer streams"):
        runtime_config(kind="openvino", streams=2)


def test_bfloat16_is_refused_if_the_instructions_are_excluded(
    root: Path, total: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    check_runtime(runtime_config(kind="openvino"))
    with pytest.raises(
        RuntimeFailure, match=r"runtime\.precision: bf16 requires .*; use precision: f32, or auto"
    ):
        check_runtime(runtime_config(kind="openvino", precision="bf16"))
    assert loaded(root, total, precision="auto").graph.precision == "f32"


class Ranker:
    """A ranker with golden requests, whose scores depend on distances between coordinates."""

    def __init__(self, root: Path) -> None:
        module = make_ranker()
        signature = module.signature("")
        self.root, self.assembler = (
            root / "ranker",
            InputAssembler(signature, make_catalogue(root / "catalogue")),
        )
        golden = self.assembler(make_batch([20, 30], [5, 0]))
        self.artifact = write_artifact(
            self.root,
            name="ranker",
            signature=signature,
            weights=ONNX,
            write_files=weight_writer(module, signature, golden),
            architecture=module.options.model_dump(mode="json"),
        )


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    return Ranker(tmp_path_factory.mktemp("ranker"))


def test_default_precision_reproduces_the_golden_scores(ranker: Ranker) -> None:
    runtime = loaded(ranker.root, ranker.artifact)
    assert runtime.graph.precision == "f32"
    assert check_golden(ranker.root, ranker.artifact, runtime)


def test_lists_without_candidates_have_no_scores(ranker: Ranker) -> None:
    inputs = ranker.assembler(make_batch([0, 0], [5, 0]))
    assert loaded(ranker.root, ranker.artifact).run(inputs)["score"].size == 0


@needs_bf16
def test_bfloat16_is_refused_for_a_model_that_it_changes(ranker: Ranker) -> None:
    with pytest.raises(
        RuntimeFailure, match=r"bf16 is too narrow for ranker: its scores differ by .*; use precision"
    ):
        loaded(ranker.root, ranker.artifact, precision="bf16")


def test_auto_keeps_32_bits_for_a_model_that_bfloat16_changes(ranker: Ranker) -> None:
    assert loaded(ranker.root, ranker.artifact, precision="auto").graph.precision == "f32"


@needs_bf16
@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_bfloat16_is_used_if_asked_for(root: Path, total: Artifact, precision: str) -> None:
    assert loaded(root, total, precision=precision).graph.precision == "bf16"


def test_reports_that_it_holds_the_weights_twice() -> None:
    held = held_weights(runtime_config(kind="openvino"), Weights(1 << 20))
    assert held.rank_bytes == 2 << 20
    assert held.why == "as configured; 1.00 MiB of weights, and a copy in OpenVINO's own order"
