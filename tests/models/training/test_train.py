"""Training from data to artifacts: all models, their lineage, and a second run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate.state import AcceleratorState

from models.architectures.options import HyperSize, Size
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.errors import ArtifactError, FeatureMismatch, TrainingError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.training.config import TrainingConfig
from models.training.folders import Trained, TrainingFolders
from models.training.train import Trainer
from tests.models.worlds import CONTEXT, FEATURES, make_batch, make_catalogue, make_impressions

CONTEXT_COLUMNS = [column.model_dump() for column in CONTEXT]
DOCUMENT: dict[str, Any] = {
    "data": "impressions",
    "threads": 1,
    "ranker": {
        "items": ["attributes", "popularity"],
        "context": CONTEXT_COLUMNS,
        "distances": [{"origin": "context.position", "place": "start"}],
        "size": {"width": 16, "heads": 2, "hidden": 24},
        "fit": {"epochs": 3, "lists_per_step": 32, "learning_rate": 0.01},
    },
    "reranker": {
        "size": {"width": 16, "heads": 2, "layers": 1, "hidden": 32},
        "fit": {"epochs": 1, "lists_per_step": 32},
    },
    "distilled": {"fit": {"epochs": 8, "lists_per_step": 32, "learning_rate": 0.02}},
}


MODELS = ("ranker", "reranker", "distilled")


def changed(**ranker: Any) -> TrainingConfig:
    """Return the configuration with other ranker settings."""
    return TrainingConfig.model_validate({**DOCUMENT, "ranker": {**DOCUMENT["ranker"], **ranker}})


def folders_in(home: Path) -> TrainingFolders:
    return TrainingFolders(
        catalogue=home / "catalogue",
        data=home / "impressions",
        ranker=home / "ranker",
        reranker=home / "reranker",
        distilled=home / "distilled",
    )


def train(
    home: Path, config: TrainingConfig, features: FeatureSet = FEATURES, *, force: bool = False
) -> list[Trained]:
    return Trainer(config, features, folders_in(home), lambda *_, **__: None).run(force=force)


@pytest.fixture(scope="module")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    catalogue = make_catalogue(home / "catalogue")
    make_impressions(home / "impressions" / "train", catalogue, 500, 0)
    make_impressions(home / "impressions" / "valid", catalogue, 120, 1)
    train(home, changed())
    return home


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained home that a test may change."""
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


def test_all_models_beat_the_references(trained_home: Path) -> None:
    for name in MODELS:
        metrics = Artifact.load(trained_home / name).metrics
        assert metrics["ndcg_at_10"] > metrics["random_ndcg_at_10"] + 0.1
        assert metrics["ndcg_at_10"] > metrics["popularity_ndcg_at_10"] + 0.1
        assert metrics["mrr"] > metrics["random_mrr"]


def test_artifacts_record_their_lineage(trained_home: Path) -> None:
    ranker, reranker, distilled = (Artifact.load(trained_home / name) for name in MODELS)
    assert ranker.signature.feature_hash == FEATURES.content_hash
    assert reranker.lineage["ranker"] == distilled.lineage["ranker"] == ranker.version
    assert distilled.metrics["ranker_mrr"] == pytest.approx(ranker.metrics["mrr"])
    assert ranker.lineage["training"]["lists"] == {"train": 500, "selection": 60, "report": 60}
    assert set(ranker.files) == {"golden.safetensors", "model.onnx", "model.safetensors"}


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_all_models_are_served_by_both_runtimes(trained_home: Path, kind: str) -> None:
    catalogue = Catalogue.open(trained_home / "catalogue")
    batch: RaggedBatch = make_batch([4, 7], [0, 3])
    for name in MODELS:
        artifact = Artifact.load(trained_home / name, feature_hash=catalogue.manifest.feature_hash)
        runtime = load_runtime(trained_home / name, artifact, runtime_config(kind=kind))
        assembler = InputAssembler(artifact.signature, catalogue)
        scores = assembler.flatten(runtime.run(assembler(batch)), batch)["score"]
        assert scores.shape == (11,)
        assert np.isfinite(scores).all()


def test_models_that_were_trained_in_bfloat16_score_in_float32(home: Path) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # one process has one precision
    try:
        trained = train(home, changed().model_copy(update={"precision": "bfloat16"}))
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    for model in trained:
        runtime = load_runtime(model.root, model.artifact, runtime_config(kind="onnx"))
        assert check_golden(model.root, model.artifact, runtime)


def test_unchanged_models_are_not_trained_again(home: Path) -> None:
    assert [model.fresh for model in train(home, changed())] == [False] * 3
    assert [model.fresh for model in train(home, changed(), force=True)] == [True] * 3


def test_the_same_data_gives_the_same_version(home: Path) -> None:
    before = Artifact.load(home / "ranker").version
    assert train(home, changed(), force=True)[0].artifact.version == before


def _spoil_data(home: Path) -> TrainingConfig:
    make_impressions(home / "impressions" / "train", Catalogue.open(home / "catalogue"), 100, 5)
    return changed()


def _spoil_weights(home: Path) -> TrainingConfig:
    (home / "ranker" / "model.onnx").write_bytes(b"")
    return changed()


def _other_size(home: Path) -> TrainingConfig:
    return changed(size={"hidden": 16})


@pytest.mark.parametrize("change", [_spoil_data, _other_size])
def test_change_of_data_or_configuration_trains_all_models(
    home: Path, change: Callable[[Path], TrainingConfig]
) -> None:
    assert [model.fresh for model in train(home, change(home))] == [True] * 3


def test_damaged_artifact_is_trained_again(home: Path) -> None:
    config = _spoil_weights(home)
    assert train(home, config)[0].fresh
    Artifact.load(home / "ranker")


def test_change_of_reranker_settings_trains_only_the_reranker(home: Path) -> None:
    config = changed()
    assert config.reranker is not None
    larger = config.reranker.model_copy(update={"size": Size(width=16, heads=2, layers=2)})
    other = config.model_copy(update={"reranker": larger})
    assert [model.fresh for model in train(home, other)] == [False, True, False]


def test_max_lists_limits_the_training_lists_of_a_model(home: Path) -> None:
    config = changed()
    assert config.distilled is not None
    fewer = config.distilled.model_copy(
        update={"fit": config.distilled.fit.model_copy(update={"max_lists": 90})}
    )
    trained = train(home, config.model_copy(update={"distilled": fewer}))
    assert [model.fresh for model in trained] == [False, False, True]
    assert trained[2].artifact.lineage["training"]["lists"]["train"] == 90


def test_the_distilled_ranker_may_be_a_hyper_ranker_that_reads_less(home: Path) -> None:
    config = changed()
    assert config.distilled is not None
    hyper = config.distilled.model_copy(
        update={"hyper": HyperSize(pooled=8, width=8, hidden=8), "without": ("item.popularity",)}
    )
    artifact = train(home, config.model_copy(update={"distilled": hyper}))[2].artifact
    assert artifact.architecture["name"] == "hyper_ranker"
    assert "item.popularity" not in artifact.signature.columns
    unknown = hyper.model_copy(update={"without": ("item.price",)})
    with pytest.raises(TrainingError, match=r"training\.distilled\.without: .* got 'item.price'"):
        train(home, config.model_copy(update={"distilled": unknown}))


def test_a_failed_training_leaves_the_artifacts_as_they_were(home: Path) -> None:
    before = Artifact.load(home / "ranker")
    labels = np.load(home / "impressions" / "train" / "labels.npy")
    labels[:] = np.nan
    np.save(home / "impressions" / "train" / "labels.npy", labels)
    with pytest.raises(
        TrainingError, match=r"train impressions: labels must be finite, got .* NaN or infinite values"
    ):
        train(home, changed())
    assert Artifact.load(home / "ranker") == before
    assert not list(home.glob("*.writing"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": ["altitude"]}, "unknown catalogue column, got 'altitude'"),
        ({"profile": "height"}, "unknown user feature, got 'height'"),
        ({"context": [{"name": "mood"}]}, "unknown context feature, got 'mood'"),
        (
            {"distances": [{"origin": "context.position", "place": "finish"}]},
            "unknown catalogue column, got 'finish'",
        ),
        (
            {"distances": [{"origin": "context.here", "place": "start"}]},
            "unknown feature, got 'context.here'",
        ),
        ({"request": ["global.snow"]}, "unknown feature, got 'global.snow'"),
        ({"cells": ["crowd"]}, "unknown cell feature, got 'crowd'"),
    ],
)
def test_error_names_an_unknown_feature(home: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        train(home, changed(**change))


def test_rejects_missing_data(home: Path) -> None:
    shutil.rmtree(home / "impressions" / "valid")
    with pytest.raises(ArtifactError, match="build the data set first"):
        train(home, changed())


def test_rejects_data_of_other_feature_definitions(home: Path) -> None:
    fewer = FeatureSet(features=FEATURES.features[:-1])
    config = changed(context=[])
    with pytest.raises(FeatureMismatch, match="build the data set again"):
        train(home, config, fewer)
