import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.artifact import write_artifact
from models.signature import InputSpec, OutputSpec, Signature
from services.config.loading import load_config
from services.deployment.check import check_artifacts
from tests.pipelines import FEATURES, WITH_DIVERSITY, WITH_RERANKER, make_pipeline, merged


def faults_of(home: Path, changes: Mapping[str, Any] | None = None) -> list[str]:
    path = home / "pipeline.yaml"
    if changes is not None:
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), changes)))
    return check_artifacts(load_config(path), home)


def redeclare(home: Path, signature: Signature) -> None:
    """Write the small model again with another signature."""
    weights = (home / "model" / "model.onnx").read_bytes()
    write_artifact(
        home / "model",
        name="small",
        signature=signature,
        weights="model.onnx",
        write_files=lambda staging: (staging / "model.onnx").write_bytes(weights),  # type: ignore[arg-type]
    )


def with_input(source: str) -> Callable[[Path], None]:
    inputs = (InputSpec(name="value", source="item.value"), InputSpec(name="x", source=source))
    return lambda home: redeclare(home, Signature(inputs=inputs, feature_hash=FEATURES.content_hash))


def with_output(output: str) -> Callable[[Path], None]:
    return lambda home: redeclare(
        home,
        Signature(
            inputs=(InputSpec(name="value", source="item.value"),),
            outputs=(OutputSpec(name=output),),
            feature_hash=FEATURES.content_hash,
        ),
    )


def damage(home: Path) -> None:
    with (home / "model" / "model.onnx").open("ab") as weights:
        weights.write(b"x")


def damage_store(home: Path) -> None:
    for file in (home / "users.lmdb").iterdir():
        file.write_bytes(b"not LMDB's" * 1000)


def change_definitions(home: Path) -> None:
    document = FEATURES.model_dump(mode="json")
    document["features"][0]["default"] = 3.0
    (home / "features.yaml").write_text(yaml.safe_dump(document))


def test_servable_pipeline_has_no_fault(tmp_path: Path) -> None:
    make_pipeline(tmp_path, merged(WITH_RERANKER, WITH_DIVERSITY))
    assert faults_of(tmp_path) == []
    assert faults_of(tmp_path) == []


@pytest.mark.parametrize(
    ("spoil", "field", "message"),
    [
        (lambda home: shutil.rmtree(home / "catalogue"), "catalogue", "no catalogue at"),
        (lambda home: shutil.rmtree(home / "model"), "models.ranker.artifact", "no artifact at"),
        (lambda home: shutil.rmtree(home / "users.lmdb"), "features.store.path", "no feature store at"),
        (damage_store, "features.store.path", "cannot be opened"),
        (lambda home: (home / "features.yaml").unlink(), "features.definitions", "no feature definitions at"),
        (change_definitions, "catalogue", "rebuild the catalogue and the definitions together"),
        (damage, "models.ranker.artifact", "the copy is damaged"),
        (with_input("item.colour"), "models.ranker.artifact", "has no column 'colour'"),
        (
            with_input("user.age"),
            "models.ranker.artifact",
            "the model needs the input 'user.age', which neither",
        ),
        (
            with_input("context.mood"),
            "models.ranker.artifact",
            "the model needs the input 'context.mood', which neither",
        ),
        (
            with_input("candidate.price"),
            "models.ranker.artifact",
            "the model needs the input 'price', which neither",
        ),
        (with_input("user.bias:offsets"), "models.ranker.artifact", "is not ragged"),
        (with_input("weather"), "models.ranker.artifact", "unknown source, got 'weather'"),
        (
            with_output("rating"),
            "models.ranker.artifact",
            "has no output 'score', which a stage names, got rating",
        ),
    ],
)
def test_fault_names_its_field(
    tmp_path: Path, spoil: Callable[[Path], None], field: str, message: str
) -> None:
    make_pipeline(tmp_path)
    spoil(tmp_path)
    faults = faults_of(tmp_path)
    assert any(line.startswith(f"{field}: ") and message in line for line in faults), faults


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"candidates": {"count": 501}},
            "candidates.count: must be at most 500, the number of items in the catalogue, got 501",
        ),
        (
            merged(WITH_RERANKER, {"reranker": {"diversity": {"column": "colour"}}}),
            "reranker.diversity.column: the catalogue has no column 'colour'",
        ),
        (
            merged(WITH_RERANKER, {"reranker": {"diversity": {"column": "value"}}}),
            "reranker.diversity.column: column 'value' does not hold finite vectors (items, D), got shape (500,)",
        ),
        (
            merged(WITH_RERANKER, {"reranker": {"output": "rating"}}),
            "models.reranker.artifact: the model has no output 'rating'",
        ),
    ],
)
def test_checks_the_yaml_against_the_data(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    make_pipeline(tmp_path)
    faults = faults_of(tmp_path, changes)
    assert any(each.startswith(line) for each in faults), faults


def test_reports_all_faults_at_once(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    for name in ("catalogue", "model", "users.lmdb"):
        shutil.rmtree(tmp_path / name)
    assert len(faults_of(tmp_path)) == 3


def test_refuses_vectors_with_nan_for_diversity(tmp_path: Path) -> None:
    make_pipeline(tmp_path, merged(WITH_RERANKER, WITH_DIVERSITY))
    vectors = np.load(tmp_path / "catalogue" / "embedding.npy")
    vectors[3, 2] = np.nan
    np.save(tmp_path / "catalogue" / "embedding.npy", vectors)
    assert [line.partition(":")[0] for line in faults_of(tmp_path)] == ["reranker.diversity.column"]


def test_refuses_log_on_unknown_file_system(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    assert faults_of(tmp_path, {"log": {"path": "served"}}) == []
    faults = faults_of(
        tmp_path, {"log": {"path": "nowhere://served"}, "record": {"path": "nowhere://traffic"}}
    )
    assert [fault.partition(":")[0] for fault in faults] == ["log.path", "record.path"]
