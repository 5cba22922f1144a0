"""Training from the served log: the same lists give the same models, from a log or from a data set."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.artifact import Artifact
from models.errors import ArtifactError, TrainingError
from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from models.ragged import RaggedBatch
from models.served_log.writing import Feedback, ShownLists, feedback_table, lists_table, write_log_file
from models.training.examples.from_log import impressions_from_log
from tests.models.training.test_train import changed, train
from tests.models.worlds import FEATURES, FEEDBACK, make_catalogue, make_impressions

TRAIN, VALID = 240, 60


def write_log(root: Path, data: Path, catalogue: Catalogue) -> None:
    """Write impressions as a service logs them: one list per hour, and a rating for each positive label."""
    parts = [
        read_impressions(data / name, feature_hash=FEATURES.content_hash, keys_to_rows=catalogue.rows_of_keys)
        for name in ("train", "valid")
    ]
    batch = RaggedBatch.concatenate([part for part, _ in parts])
    labels = np.concatenate([part for _, part in parts])
    keys = catalogue.keys[batch.rows]
    ids = [f"request-{number}" for number in range(len(batch))]
    positions = np.arange(len(keys)) - np.repeat(batch.offsets[:-1], np.diff(batch.offsets))
    shown = ShownLists(
        batch=batch,
        keys=keys,
        scores=np.zeros(len(keys), dtype=np.float32),
        positions=positions.astype(np.int32),
        request_ids=ids,
        user_ids=["u"] * len(ids),
        at_s=3600.0 * np.arange(len(ids), dtype=np.float64),
    )
    write_log_file(lists_table(shown, FEATURES), root / "lists.parquet")
    best = np.flatnonzero(labels)
    owners = batch.request_of()[best]
    feedback = Feedback(
        request_ids=[ids[owner] for owner in owners],
        keys=keys[best],
        events=["rated"] * len(best),
        values=labels[best],
        at_s=3600.0 * owners.astype(np.float64) + 60.0,
    )
    write_log_file(feedback_table(feedback), root / "feedback.parquet")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    catalogue = make_catalogue(tmp_path / "catalogue")
    make_impressions(tmp_path / "impressions" / "train", catalogue, TRAIN, 0)
    make_impressions(tmp_path / "impressions" / "valid", catalogue, VALID, 1)
    write_log(tmp_path / "log", tmp_path / "impressions", catalogue)
    # Write and read a log once. Feedback refers to an item, so an item that is in a list twice gets a single label.
    impressions_from_log(
        [tmp_path / "log"], tmp_path / "impressions", FEATURES, FEEDBACK, VALID / (TRAIN + VALID)
    )
    write_log(tmp_path / "log", tmp_path / "impressions", catalogue)
    return tmp_path


def test_lists_from_the_log_give_the_same_models(home: Path) -> None:
    wanted = [model.artifact for model in train(home, changed())]
    shutil.rmtree(home / "impressions")
    impressions_from_log([home / "log"], home / "impressions", FEATURES, FEEDBACK, VALID / (TRAIN + VALID))
    artifacts = [model.artifact for model in train(home, changed(), force=True)]
    assert [model.version for model in artifacts] == [model.version for model in wanted]
    assert artifacts[0].metrics == Artifact.load(home / "ranker").metrics == wanted[0].metrics


def test_rejects_too_few_lists_or_a_missing_log_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="too few lists to train and validate, got 300"):
        impressions_from_log([home / "log"], tmp_path / "data", FEATURES, FEEDBACK, 0.999)
    with pytest.raises(ArtifactError, match="no shown lists"):
        impressions_from_log([home / "log" / "feedback.parquet"], tmp_path / "data", FEATURES, FEEDBACK, 0.2)
    assert not list(tmp_path.glob("data*"))
