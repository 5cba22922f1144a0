"""Models of every format become artifacts whose scores are those of their own library."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.artifact import Artifact
from models.assembly import InputAssembler
from models.errors import ArtifactError, ModelError, RuntimeFailure, SignatureError
from models.features.catalogue import Catalogue
from models.importing.formats import format_of
from models.importing.importer import import_model
from models.importing.target import Imported, ImportOptions, Target
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.onnx import OnnxRuntime
from tests.models.importing.originals import (
    FEATURES,
    graph,
    lightgbm_text,
    skops_file,
    sum_graph,
    xgboost_json,
)
from tests.models.worlds import FEATURES as DEFINITIONS
from tests.models.worlds import make_batch

Make = Callable[[Path], Path]
DENSE = {"dense": FEATURES}
_MAP = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))


def imported(catalogue: Catalogue, root: Path, source: Path, **options: Any) -> Imported:
    target = Target(DEFINITIONS, catalogue, make_batch([5, 3], [0, 1]), "ranker", "score")
    return import_model(source, format_of(source), root, target, ImportOptions(**{"inputs": {}, **options}))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lightgbm_text, {}),
        (lambda path: lightgbm_text(path, objective="binary"), {"missing": -1.0}),
        (xgboost_json, {}),
        (lambda path: xgboost_json(path, "binary:logistic"), {}),
        (lambda path: xgboost_json(path, "count:poisson"), {}),
        (skops_file, {"missing": 0.0, "trained_on": FEATURES}),
        (lambda path: skops_file(path, classifier=True), {"missing": 0.0, "inputs": {"features": FEATURES}}),
    ],
    ids=["lambdarank", "lgb binary", "rank:ndcg", "logistic", "poisson", "sklearn", "sklearn classifier"],
)
def test_a_converted_model_scores_as_its_own_library(
    catalogue: Catalogue, tmp_path: Path, make: Make, options: dict[str, Any]
) -> None:
    result = imported(catalogue, tmp_path / "out", make(tmp_path / "model.json"), **options)
    assert result.difference is not None
    assert result.difference < 1e-5
    artifact = Artifact.load(tmp_path / "out", feature_hash=DEFINITIONS.content_hash)
    runtime = OnnxRuntime(tmp_path / "out/model.onnx", artifact.signature)
    assert check_golden(tmp_path / "out", artifact, runtime)
    batch = make_batch([4], [0])
    assert runtime.run(InputAssembler(artifact.signature, catalogue)(batch))["score"].size == 4
    assert artifact.lineage["largest_difference"] == result.difference


@pytest.mark.parametrize(("make", "native"), [(lightgbm_text, "lightgbm"), (xgboost_json, "xgboost")])
def test_both_runtimes_of_a_tree_model_are_measured_and_can_load_the_artifact(
    catalogue: Catalogue, tmp_path: Path, make: Make, native: str
) -> None:
    result = imported(catalogue, tmp_path / "out", make(tmp_path / "model.json"))
    assert result.comparison is not None
    assert {timing.kind for timing in result.comparison.timings} == {"onnx", native}
    artifact = Artifact.load(tmp_path / "out")
    artifact.check_version(tmp_path / "out")
    assert artifact.runtime == result.comparison.fastest
    assert set(artifact.lineage["median_ms"]) == {"onnx", native}
    for kind in ("onnx", native):
        runtime = load_runtime(tmp_path / "out", artifact, runtime_config(kind=kind))
        assert check_golden(tmp_path / "out", artifact, runtime)


@pytest.mark.parametrize(
    ("make", "kind", "problem"),
    [
        (
            lambda path: lightgbm_text(path, objective="regression", linear_tree=True),
            "lightgbm",
            "linear models in leaves cannot be converted",
        ),
        (
            lambda path: lightgbm_text(path, objective="regression", reg_sqrt=True),
            "lightgbm",
            "cannot convert objective regression sqrt",
        ),
        (lambda path: xgboost_json(path, "survival:cox"), "xgboost", "cannot convert objective survival:cox"),
    ],
    ids=["linear leaves", "squared predictions", "cox"],
)
def test_a_model_that_onnx_cannot_express_is_executed_by_its_own_library(
    catalogue: Catalogue, tmp_path: Path, make: Make, kind: str, problem: str
) -> None:
    result = imported(catalogue, tmp_path / "out", make(tmp_path / "model.json"))
    assert result.problem is not None
    assert problem in result.problem
    assert (result.artifact.runtime, result.difference, result.comparison) == (kind, None, None)
    with pytest.raises(RuntimeFailure, match=rf"has no \.onnx file .*set runtime.kind: {kind}"):
        load_runtime(tmp_path / "out", result.artifact, runtime_config(kind="onnx"))
    runtime = load_runtime(tmp_path / "out", result.artifact, runtime_config(kind=kind))
    assert check_golden(tmp_path / "out", result.artifact, runtime)


def test_trees_with_leaves_that_are_nan_are_refused_and_nothing_is_written(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    source = lightgbm_text(tmp_path / "model", objective="regression")
    source.write_text(re.sub(r"leaf_value=\S+(?: \S+)*", nan_leaves, source.read_text()))
    before = source.read_bytes()
    with pytest.raises(ArtifactError, match="scores of golden requests are NaN or infinite"):
        imported(catalogue, tmp_path / "out", source)
    assert not (tmp_path / "out").exists()
    assert source.read_bytes() == before


def nan_leaves(line: re.Match[str]) -> str:
    return "leaf_value=" + " ".join("nan" for _ in line[0].split())


def test_the_version_of_an_artifact_does_not_depend_on_measured_times(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    source = xgboost_json(tmp_path / "model.json")
    first, second = (imported(catalogue, tmp_path / name, source).artifact for name in ("a", "b"))
    assert first.version == second.version


def test_an_onnx_graph_is_imported_with_its_output_renamed(catalogue: Catalogue, tmp_path: Path) -> None:
    result = imported(catalogue, tmp_path / "out", sum_graph(tmp_path / "m"), inputs=DENSE)
    batch = make_batch([4, 1], [0, 0])
    inputs = InputAssembler(result.artifact.signature, catalogue)(batch)
    scores = OnnxRuntime(tmp_path / "out/model.onnx", result.artifact.signature).run(inputs)["score"]
    np.testing.assert_allclose(scores[:, 0], inputs["dense"].sum(axis=1), rtol=1e-6)


def test_a_graph_that_fits_already_is_copied_bit_for_bit(catalogue: Catalogue, tmp_path: Path) -> None:
    source = sum_graph(tmp_path / "m", output="score")
    imported(catalogue, tmp_path / "out", source, inputs=DENSE)
    assert (tmp_path / "out/model.onnx").read_bytes() == source.read_bytes()


def test_a_column_of_an_output_can_be_the_score(catalogue: Catalogue, tmp_path: Path) -> None:
    source = graph(
        tmp_path / "m",
        {"attributes": (TensorProto.FLOAT, ["n", 4])},
        [helper.make_node("Sigmoid", ["attributes"], ["score"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 4])],
    )
    with pytest.raises(SignatureError, match=r"name another output or one column with --output"):
        imported(catalogue, tmp_path / "out", source)
    result = imported(catalogue, tmp_path / "out", source, output="score:2")
    batch = make_batch([6], [0])
    inputs = InputAssembler(result.artifact.signature, catalogue)(batch)
    scores = OnnxRuntime(tmp_path / "out/model.onnx", result.artifact.signature).run(inputs)["score"]
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-inputs["attributes"][:, 2])), rtol=1e-6)


def test_weights_beside_the_graph_are_moved_into_it(catalogue: Catalogue, tmp_path: Path) -> None:
    weights = np.arange(4, dtype=np.float32)[:, None]
    source = graph(
        tmp_path / "m.onnx",
        {"attributes": (TensorProto.FLOAT, ["n", 4])},
        [helper.make_node("MatMul", ["attributes", "w"], ["score"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])],
    )
    model = onnx.load(source)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(model, source, save_as_external_data=True, location="w.bin", size_threshold=0)
    imported(catalogue, tmp_path / "out", source)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "artifact.yaml",
        "golden.safetensors",
        "model.onnx",
    }


def test_a_classifier_that_returns_dictionaries_gives_a_column_of_probabilities(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    source = graph(
        tmp_path / "m",
        {"attributes": (TensorProto.FLOAT, ["n", 4])},
        [
            helper.make_node("Softmax", ["attributes"], ["p"], axis=1),
            helper.make_node("ZipMap", ["p"], ["out"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3]),
        ],
        [helper.make_value_info("out", helper.make_sequence_type_proto(_MAP))],
    )
    model = onnx.load(source)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save(model, source)
    with pytest.raises(SignatureError, match=r"which output is the score.*out float32 \(\?, 4\)"):
        imported(catalogue, tmp_path / "out", source)
    assert imported(catalogue, tmp_path / "out", source, output="out:1").artifact.weights == "model.onnx"


def test_a_graph_with_a_fixed_batch_size_is_refused_with_the_option(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    source = graph(
        tmp_path / "m",
        {"attributes": (TensorProto.FLOAT, [1, 4])},
        [helper.make_node("ReduceSum", ["attributes"], ["score"], keepdims=1)],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1])],
    )
    with pytest.raises(SignatureError, match=r"the first axis must have any size.*dynamic_axes"):
        imported(catalogue, tmp_path / "out", source)


def test_a_score_of_text_is_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    source = graph(
        tmp_path / "m",
        {"popularity": (TensorProto.FLOAT, ["n"])},
        [helper.make_node("Cast", ["popularity"], ["score"], to=TensorProto.STRING)],
        [helper.make_tensor_value_info("score", TensorProto.STRING, ["n"])],
    )
    with pytest.raises(SignatureError, match="expected numbers, got object"):
        imported(catalogue, tmp_path / "out", source)


def test_a_vector_may_be_an_input_of_half_precision(catalogue: Catalogue, tmp_path: Path) -> None:
    source = graph(
        tmp_path / "m",
        {"attributes": (TensorProto.FLOAT16, ["n", 4]), "hour": (TensorProto.FLOAT16, ["n", 1])},
        [
            helper.make_node("Concat", ["attributes", "hour"], ["x"], axis=1),
            helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["y"], ["score"], axes=[1]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])],
    )
    signature = imported(catalogue, tmp_path / "out", source).artifact.signature
    assert [(spec.source, spec.dtype) for spec in signature.inputs] == [
        ("item.attributes", "float16"),
        ("vector.hour", "float16"),
    ]


def test_a_model_that_scores_missing_numbers_nan_is_refused_and_the_old_artifact_stays(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    first = imported(catalogue, tmp_path / "out", sum_graph(tmp_path / "m"), inputs=DENSE)
    source = graph(
        tmp_path / "log",
        {"attributes": (TensorProto.FLOAT, ["n", 4])},
        [
            helper.make_node("Log", ["attributes"], ["y"]),
            helper.make_node("ReduceMax", ["y"], ["z"], axes=[1]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 1])],
    )
    with pytest.raises(ArtifactError, match="are NaN or infinite"):
        imported(catalogue, tmp_path / "out", source)
    assert Artifact.load(tmp_path / "out").version == first.artifact.version
    assert not list(tmp_path.glob("out.writing/*.new"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: lightgbm_text(path, names=[f"f{i}" for i in range(5)]), "does not name its 5 columns"),
        (
            lambda path: lightgbm_text(path, names=["a", "b", "c", "d", "e"]),
            "no feature has this name, got 'a'",
        ),
        (
            lambda path: lightgbm_text(path, objective="multiclass", num_class=4),
            "expected one score per row, got 4",
        ),
        (skops_file, "does not name its 5 columns"),
        (lambda path: xgboost_json(path, "multi:softprob", num_class=4), "got the booster gbtree with 4"),
    ],
)
def test_models_without_fitting_columns_or_scores_are_refused(
    catalogue: Catalogue, tmp_path: Path, make: Make, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        imported(catalogue, tmp_path / "out", make(tmp_path / "m.json"))
    assert not (tmp_path / "out").exists()


def test_a_model_that_refuses_missing_values_names_the_option(catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="with --missing and a number"):
        imported(catalogue, tmp_path / "out", skops_file(tmp_path / "m"), trained_on=FEATURES)
