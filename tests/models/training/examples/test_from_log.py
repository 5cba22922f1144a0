"""Training from the served log: the same lists give the same models, from a log or from a data set."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.artifact import Artifact
from models.errors import ArtifactError, TrainingError
from models.features.catalogue import Catalogue, item_key
from models.features.sent import FIRST_UNKNOWN_ROW
from models.features.sent_table import SentValues
from models.impressions import read_impressions
from models.ragged import RaggedBatch
from models.served_log.writing import Feedback, ShownLists, feedback_table, lists_table, write_log_file
from models.training.config import OverCatalogueConfig
from models.training.examples.from_log import impressions_from_log
from models.training.splits import Splits
from tests.models.training.test_train import changed, folders_in, train
from tests.models.worlds import FEATURES, FEEDBACK, make_catalogue, make_impressions

TRAIN, VALID = 240, 60


def write_log(root: Path, data: Path, catalogue: Catalogue, *, sent: bool = False) -> None:
    """Write impressions as a service logs them: one list per hour, and a rating for each positive label.

    If ``sent``, every fourth list begins with an item outside the catalogue and one with another popularity.
    """
    parts = [
        read_impressions(data / name, feature_hash=FEATURES.content_hash, keys_to_rows=catalogue.rows_of_keys)
        for name in ("train", "valid")
    ]
    batch = RaggedBatch.concatenate([part for part, _ in parts])
    labels = np.concatenate([part for _, part in parts])
    keys = catalogue.keys[batch.rows]
    ids = [f"request-{number}" for number in range(len(batch))]
    positions = np.arange(len(keys)) - np.repeat(batch.offsets[:-1], np.diff(batch.offsets))
    sent_lists: list[SentValues | None] = []
    for number, first in enumerate(batch.offsets[:-1].tolist()) if sent else ():
        if number % 4:
            sent_lists.append(None)
            continue
        keys[first] = item_key(f"new-{number}")
        ids_sent = [f"new-{number}", catalogue.ids[batch.rows[first + 1]]]
        values = {name: column[batch.rows[first : first + 2]] for name, column in catalogue.columns.items()}
        values["popularity"] = np.array([2.0, 3.0 + number], dtype=np.float32)
        sent_lists.append(SentValues(ids_sent, values))
    shown = ShownLists(
        sent=sent_lists,
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


def test_trains_on_the_values_that_were_sent(home: Path) -> None:
    catalogue = Catalogue.open(home / "catalogue")
    write_log(home / "log", home / "impressions", catalogue, sent=True)
    impressions_from_log([home / "log"], home / "impressions", FEATURES, FEEDBACK, VALID / (TRAIN + VALID))
    splits = Splits(changed(), FEATURES, folders_in(home), catalogue)
    batch, _ = splits.labelled("train")
    lists = [list(range(first, last)) for first, last in itertools.pairwise(batch.offsets.tolist())]
    assert len(lists) == TRAIN
    popularity, attributes = batch.candidates["item.popularity"], batch.candidates["item.attributes"]
    for number, places in enumerate(lists):
        own = number % 4 == 0
        if own:
            assert popularity[places[:2]].tolist() == [2.0, 3.0 + number]
            assert batch.rows[places[0]] >= FIRST_UNKNOWN_ROW
        known = places[1:] if own else places
        assert (attributes[known] == catalogue.columns["attributes"][batch.rows[known]]).all()
        # The lists of this world may have an item twice.
        rest = [place for place in places if not own or batch.rows[place] not in batch.rows[places[:2]]]
        assert (popularity[rest] == catalogue.columns["popularity"][batch.rows[rest]]).all()
    fast = changed(fit={"epochs": 1, "lists_per_step": 64})
    assert all(model.fresh for model in train(home, fast))


def test_lists_over_the_catalogue_leave_sent_items_out(home: Path) -> None:
    catalogue = Catalogue.open(home / "catalogue")
    write_log(home / "log", home / "impressions", catalogue, sent=True)
    impressions_from_log([home / "log"], home / "impressions", FEATURES, FEEDBACK, VALID / (TRAIN + VALID))
    config = changed().model_copy(update={"over_catalogue": OverCatalogueConfig(negatives=3)})
    splits = Splits(config, FEATURES, folders_in(home), catalogue)
    batch, labels = splits.labelled("train")
    assert (batch.rows >= 0).all()
    assert (batch.rows < len(catalogue)).all()
    assert len(labels) == batch.candidate_count
    assert not any(name.startswith("item") for name in batch.candidates)


def test_values_that_do_not_fit_the_catalogue_are_refused(home: Path) -> None:
    catalogue = Catalogue.open(home / "catalogue")
    write_log(home / "log", home / "impressions", catalogue, sent=True)
    impressions_from_log([home / "log"], home / "impressions", FEATURES, FEEDBACK, VALID / (TRAIN + VALID))
    catalogue.columns["popularity"] = np.zeros((len(catalogue), 2), dtype=np.float32)
    splits = Splits(changed(), FEATURES, folders_in(home), catalogue)
    with pytest.raises(
        ArtifactError, match=r"item.popularity was sent as float32 \(\), but catalogue small has"
    ):
        splits.labelled("train")
    (home / "impressions" / "valid" / "sent.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"sent items at .* cannot be read: .*; build the data set again"):
        splits.labelled("valid")


def test_rejects_too_few_lists_or_a_missing_log_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="too few lists to train and validate, got 300"):
        impressions_from_log([home / "log"], tmp_path / "data", FEATURES, FEEDBACK, 0.999)
    with pytest.raises(ArtifactError, match="no shown lists"):
        impressions_from_log([home / "log" / "feedback.parquet"], tmp_path / "data", FEATURES, FEEDBACK, 0.2)
    assert not list(tmp_path.glob("data*"))
