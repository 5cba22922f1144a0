"""No feature of a list uses an event at or after the list's time.

The same random log is built twice: whole, and without the events at or after a list's time. The features of the list
must be equal. The item features (popularity and number) use the events of the training period, so they are compared for
lists of the later periods.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.datasets.build import EventData, write_event_data
from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, cut, moments_of
from models.datasets.features import features_of, histories
from models.datasets.files.problems import BadRows
from models.datasets.files.reading import read_files
from models.features.catalogue import Catalogue
from models.features.view import FeatureView
from models.impressions import read_impressions
from models.ragged import Column, RaggedArray, RaggedBatch, offsets_of
from tests.models.datasets.files.tables import config_of, write

START_S = 1_000_000_000
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 40), st.integers(1, 5)),
    min_size=30,
    max_size=80,
)


def log_of(tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, int]]) -> EventLog:
    """Return the log of a file with these events."""
    users, items, times, values = zip(*events, strict=True)
    columns = {
        "user_id": [f"u{user}" for user in users],
        "item_id": [f"i{item}" for item in items],
        "timestamp": [START_S + time for time in times],
        "rating": values,
    }
    path = write(tmp_path_factory.mktemp("log") / "a.parquet", columns)
    return read_files(config_of(path), BadRows())


def before(log: EventLog, at_s: float) -> EventLog:
    """Return the log without events at or after a time."""
    kept = log.at_s < at_s
    return replace(log, user=log.user[kept], item=log.item[kept], at_s=log.at_s[kept], value=log.value[kept])


def completed(log: EventLog, columns: dict[str, Column], catalogue: Catalogue) -> dict[str, Column]:
    """Return the columns of one list with its derived features."""
    batch = RaggedBatch(offsets=offsets_of(np.array([0])), rows=np.empty(0, dtype=np.int64), requests=columns)
    return dict(FeatureView(features_of(log, 8), catalogue).completed(batch).requests)


@settings(max_examples=8)
@given(EVENTS)
def test_user_features_of_every_list_are_those_of_a_log_that_ends_before_it(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, int]]
) -> None:
    log = log_of(tmp_path_factory, events)
    data = EventData(tmp_path_factory.mktemp("data") / "data")
    write_event_data(log, EventsConfig(set="movielens-100k", history=8), data)
    catalogue = Catalogue.open(data.catalogue)
    keys = np.arange(len(log.item_ids)) + 1000
    moments = moments_of(log)
    for index in range(len(moments)):
        one = moments.take(np.array([index]))
        whole = histories(log, one, keys, 8)
        shorter = before(log, float(one.at_s[0]))
        mine = np.flatnonzero(shorter.user == one.user[0])
        first = int(mine[0]) if len(mine) else 0
        end = np.array([first + len(mine)])
        known = histories(shorter, replace(one, first=np.array([first]), start=end, end=end), keys, 8)
        for name, column in completed(log, whole, catalogue).items():
            other = completed(log, known, catalogue)[name]
            values = [part.values if isinstance(part, RaggedArray) else part for part in (column, other)]
            np.testing.assert_array_equal(values[0], values[1], name)
        at_s = whole["user.history_at_s"]
        assert isinstance(at_s, RaggedArray)
        assert (at_s.values < one.at_s[0]).all()


@settings(max_examples=8)
@given(EVENTS)
def test_item_features_of_later_lists_are_those_of_a_log_that_ends_before_validation(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, int]]
) -> None:
    log, config = log_of(tmp_path_factory, events), EventsConfig(set="movielens-100k", history=8)
    cuts = cut(log, config.train_share, config.valid_share)
    late = log.at_s >= cuts.valid_s
    moved = replace(log, item=np.where(late, (log.item + 1) % len(log.item_ids), log.item))
    folder = tmp_path_factory.mktemp("data")
    for name, one in (("whole", log), ("moved", moved)):
        write_event_data(one, config, EventData(folder / name))
    whole, other = (Catalogue.open(EventData(folder / name).catalogue) for name in ("whole", "moved"))
    for column in whole.columns:
        np.testing.assert_array_equal(whole.columns[column], other.columns[column])
    for split in ("valid", "test"):
        batch, _ = read_impressions(
            EventData(folder / "whole").impressions / split,
            feature_hash=whole.manifest.feature_hash,
            keys_to_rows=whole.rows_of_keys,
        )
        now_s = batch.requests["context.now_s"]
        assert isinstance(now_s, np.ndarray)
        assert (now_s >= cuts.valid_s).all()
