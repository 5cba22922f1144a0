"""A LambdaMART trained by Rankway: better than the references, up to date on a second run, exact in ONNX."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.assembly import InputAssembler
from models.errors import SignatureError, TrainingError
from models.features.catalogue import Catalogue
from models.impressions import read_impressions, write_impressions
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.onnx import OnnxRuntime
from models.training.config import TrainingConfig
from models.training.folders import Trained, TrainingFolders
from models.training.lambdamart import train_lambdamart
from tests.models.worlds import FEATURES, make_batch, make_catalogue, make_impressions

RANKER: dict[str, Any] = {"kind": "lightgbm", "trees": 60, "leaves": 15, "min_rows": 10, "learning_rate": 0.1}


def train(home: Path, *, force: bool = False, over: bool = False, **ranker: Any) -> Trained:
    document = {"data": "impressions", "ranker": {**RANKER, **ranker}}
    if over:
        document["over_catalogue"] = {"negatives": 10}
    folders = TrainingFolders(home / "catalogue", home / "impressions", home / "ranker")
    config = TrainingConfig.model_validate(document)
    return train_lambdamart(config, FEATURES, folders, lambda *_: None, force=force)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    catalogue = make_catalogue(tmp_path / "catalogue")
    make_impressions(tmp_path / "impressions" / "train", catalogue, 300, 0)
    make_impressions(tmp_path / "impressions" / "valid", catalogue, 100, 1)
    return tmp_path


def test_beats_the_references_and_is_kept_until_something_changes(home: Path) -> None:
    first = train(home)
    metrics = first.artifact.metrics
    assert metrics["ndcg_at_10"] > metrics["random_ndcg_at_10"] + 0.1
    assert metrics["ndcg_at_10"] > metrics["popularity_ndcg_at_10"] + 0.1
    assert set(first.artifact.files) == {"golden.safetensors", "model.onnx", "model.txt"}
    assert first.artifact.lineage["training"]["lists"] == {"train": 300, "selection": 50, "report": 50}
    assert not train(home).fresh
    assert train(home, force=True).artifact.version == first.artifact.version
    assert train(home, features=["item.attributes", "user.profile"]).fresh


def test_the_artifact_is_served_with_the_vector_of_its_training(home: Path) -> None:
    artifact = train(home, missing=-1.0).artifact
    catalogue = Catalogue.open(home / "catalogue")
    runtime = OnnxRuntime(home / "ranker/model.onnx", artifact.signature)
    assert check_golden(home / "ranker", artifact, runtime)
    scores = runtime.run(InputAssembler(artifact.signature, catalogue)(make_batch([4, 2], [1, 0])))["score"]
    assert np.isfinite(scores).all()
    assert check_golden(
        home / "ranker", artifact, load_runtime(home / "ranker", artifact, runtime_config(kind="lightgbm"))
    )
    assert (artifact.signature.vectors or {})["features"].missing == -1.0


def test_trains_over_the_catalogue_on_data_with_chosen_items_only(home: Path) -> None:
    assert train(home, over=True).artifact.lineage["training"]["trees"] >= 1


def scale_labels(home: Path, split: str, factors: list[float]) -> None:
    """Multiply the labels of a split. Each factor is for an equal share of the lists."""
    catalogue = Catalogue.open(home / "catalogue")
    root = home / "impressions" / split
    batch, labels = read_impressions(
        root, feature_hash=FEATURES.content_hash, keys_to_rows=catalogue.rows_of_keys
    )
    share = batch.request_of() * len(factors) // len(batch)
    scaled = labels * np.array(factors, dtype=np.float32)[share]
    write_impressions(
        root, batch, scaled, feature_hash=FEATURES.content_hash, keys=catalogue.keys[batch.rows]
    )


@pytest.mark.parametrize(
    ("split", "factors", "message"),
    [
        ("train", [0.0], "no item of the training lists has a label above 0"),
        ("valid", [0.0, 1.0], "no item of the first half of the validation lists has a label above 0"),
        ("valid", [1.0, 0.0], "no item of the second half of the validation lists has a label above 0"),
    ],
)
def test_labels_without_a_positive_one_are_refused_before_trees_are_grown(
    home: Path, split: str, factors: list[float], message: str
) -> None:
    scale_labels(home, split, factors)
    with pytest.raises(TrainingError, match=message):
        train(home, trees=10_000)
    assert not (home / "ranker").exists()


def test_small_labels_train_the_same_trees(home: Path) -> None:
    metrics = train(home, trees=20).artifact.metrics
    for split in ("train", "valid"):
        scale_labels(home, split, [0.2])
    assert train(home, trees=20).artifact.metrics == pytest.approx(metrics, abs=1e-6)


def test_unknown_and_repeated_features_are_refused(home: Path) -> None:
    with pytest.raises(SignatureError, match=r"training\.ranker\.features: no feature has this name"):
        train(home, features=["item.attribute"])
    with pytest.raises(TrainingError, match=r"item\.attributes\.1 is given twice"):
        train(home, features=["item.attributes", "item.attributes.1"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ranker": {"kind": "catboost"}}, "kind must be history or lightgbm"),
        ({"ranker": {"kind": "lightgbm", "trees": 0}}, "trees"),
        ({"ranker": {"kind": "lightgbm"}, "distilled": {}}, "cannot be combined with reranker or distilled"),
    ],
)
def test_invalid_configurations_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate({"data": "impressions", **changes})
