"""Shown lists, compared with a slow calculation over the rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.datasets.build import EventData, write_event_data
from models.datasets.events import EventLog
from models.datasets.features import histories
from models.datasets.shown import shown_lists
from models.datasets.write_shown import moments_before
from models.features.catalogue import Catalogue
from models.impressions import read_impressions
from models.ragged import RaggedArray
from tests.models.datasets.files.shown import log_of, shown_rows, write_shown

ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 4),
        st.integers(0, 5),
        st.sampled_from([0, 0.5, 1]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=25,
)


@given(ROWS)
def test_a_list_has_each_item_once_with_its_highest_relevance_by_position(
    rows: list[tuple[int, int, int, float, int]],
) -> None:
    lists, items, positions, relevance, times = (np.array(column) for column in zip(*rows, strict=True))
    codes = np.unique(lists, return_inverse=True)[1]
    shown, repeated = shown_lists(
        codes, codes, items, times.astype(float), positions.astype(float), relevance.astype(np.float32)
    )
    expected = []
    for code in sorted(set(codes.tolist()), key=lambda one: (times[codes == one].min(), one)):
        inside = np.flatnonzero(codes == code)
        by_place = sorted(inside.tolist(), key=lambda row: (positions[row], row))
        order = [row for at, row in enumerate(by_place) if items[row] not in items[by_place[:at]]]
        best = [relevance[inside][items[inside] == items[row]].max() for row in order]
        expected.append((times[inside].min(), [int(items[row]) for row in order], best))
    found = [
        (shown.at_s[index], shown.item[part].tolist(), shown.relevance[part].tolist())
        for index, part in enumerate(map(slice, shown.offsets[:-1], shown.offsets[1:]))
    ]
    assert found == expected
    assert repeated == len(rows) - len(shown.item)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 9)), max_size=25),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10)), min_size=1, max_size=8),
)
def test_a_history_has_only_events_before_the_list(
    events: list[tuple[int, int, int]], lists: list[tuple[int, int]]
) -> None:
    events = sorted(set(events), key=lambda event: (event[0], event[2], event[1]))
    user, item, at_s = (np.array([event[column] for event in events], dtype=np.int64) for column in range(3))
    log = EventLog("log", user, item, at_s.astype(float), np.ones(len(user), np.float32), [f"i{n}" for n in range(6)],
                   user_ids=[f"u{n}" for n in range(6)])  # fmt: skip
    of, when = np.array([one for one, _ in lists]), np.array([float(at) for _, at in lists])
    past = histories(log, moments_before(log, of, when), np.arange(6), 100)["user.history"]
    assert isinstance(past, RaggedArray)
    for index, (one, at) in enumerate(lists):
        before = {i for u, i, t in events if u == one and t < at}
        assert set(past.values[past.offsets[index] : past.offsets[index + 1]].tolist()) == before


def test_lists_are_written_whole_with_their_positions_and_users_without_history(tmp_path: Path) -> None:
    rows = shown_rows()
    log, config = log_of(write_shown(tmp_path / "shown.parquet", rows))
    data = EventData(tmp_path / "data")
    write_event_data(log, config, data)
    catalogue = Catalogue.open(data.catalogue)
    counts = 0
    for split in ("train", "valid", "test"):
        batch, labels = read_impressions(
            data.impressions / split,
            feature_hash=catalogue.manifest.feature_hash,
            keys_to_rows=catalogue.rows_of_keys,
        )
        assert (np.diff(batch.offsets) == 6).all()
        assert batch.candidates["position"].tolist() == list(range(6)) * len(batch)
        assert (labels.reshape(-1, 6).sum(axis=1) == 0).any(), "lists without a reaction are kept"
        counts += len(batch)
    assert counts == len(set(rows["request_id"]))


def test_a_split_needs_lists_with_reactions(tmp_path: Path) -> None:
    rows = shown_rows()
    late = len(rows["label"]) // 2
    rows["label"] = [label if row < late else 0 for row, label in enumerate(rows["label"])]
    log, config = log_of(write_shown(tmp_path / "shown.parquet", rows))
    with pytest.raises(
        Exception, match="split valid must have at least 2 shown lists with a label above 0, got 0"
    ):
        write_event_data(log, config, EventData(tmp_path / "data"))
    assert not (tmp_path / "data").exists()
