import json
from pathlib import Path

import numpy as np

from models.datasets.build import EventData, write_event_data
from models.datasets.config import EventsConfig
from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from tests.models.datasets.logs import make_log

CONFIG = EventsConfig(set="movielens-100k", history=8)


def test_items_of_the_training_period_have_a_number_and_all_events_count_as_popularity(
    tmp_path: Path,
) -> None:
    log = make_log()
    late = log.item_ids[0]
    moved = log.at_s + np.where(log.item == 0, 1e9, 0.0)  # nobody chooses it before the test period
    order = np.lexsort((moved, log.user))
    write_event_data(
        type(log).from_ids("moved", [str(u) for u in log.user[order]], [log.item_ids[i] for i in log.item[order]],
                     moved[order].tolist(), log.value[order].tolist()),
        CONFIG, EventData(tmp_path / "data"),
    )  # fmt: skip
    catalogue = Catalogue.open(tmp_path / "data" / "catalogue")
    row = catalogue.row_by_id[late]
    assert catalogue.columns["number"][row] == 0
    assert catalogue.columns["popularity"][row] == np.float32(np.log1p(len(set(log.user[log.item == 0]))))
    assert (np.delete(catalogue.columns["number"], row) > 0).all()


def test_lists_have_the_chosen_items_and_splits_do_not_overlap_in_time(tmp_path: Path) -> None:
    data = EventData(tmp_path / "data")
    write_event_data(make_log(), CONFIG, data)
    catalogue = Catalogue.open(data.catalogue)
    times = {}
    for split in ("train", "valid", "test"):
        batch, labels = read_impressions(
            data.impressions / split,
            feature_hash=catalogue.manifest.feature_hash,
            keys_to_rows=catalogue.rows_of_keys,
        )
        times[split] = np.load(data.impressions / split / "at_s.npy")
        assert (labels == 1.0).all()
        assert (batch.rows >= 0).all()
        assert (np.diff(times[split]) >= 0).all()
        assert len(np.load(data.impressions / split / "user.npy")) == len(batch)
    assert times["train"].max() < times["valid"].min()
    assert times["valid"].max() < times["test"].min()


def test_manifest_has_the_split_and_its_counts(tmp_path: Path) -> None:
    data = EventData(tmp_path / "data")
    write_event_data(make_log(), CONFIG, data)
    manifest = json.loads(data.manifest.read_text())
    assert manifest["valid_from_s"] < manifest["test_from_s"]
    assert sum(manifest[split]["events"] for split in ("train", "valid", "test")) == manifest["events"]
