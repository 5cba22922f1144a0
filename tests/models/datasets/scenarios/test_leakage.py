"""No feature of a training, validation or test list uses an event at or after the list's time.

The same random log is built twice: as it is, and without the events at or after the time of one of its lists. These
events go to a user and an item of no interest, so that the split and the catalogue stay the same. The events of the
lists at that time keep their users, so that the lists exist, but they choose another item. All features of all
lists up to that time must be equal, for every item of the catalogue, whether it was chosen, drawn or neither.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.datasets.events import EventLog, cut, moments_of
from models.features.catalogue import item_key
from tests.models.datasets.scenarios.built_logs import (
    CONFIG,
    EVENTS,
    NOBODY,
    NOTHING,
    START_S,
    Built,
    in_order,
    log_of,
    with_shown_lists,
)

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking, because each example builds data sets on disk."""


def without_events_from(log: EventLog, at_s: float) -> EventLog:
    """Return the log without what happened at or after a time."""
    later, then = log.at_s > at_s, log.at_s == at_s
    gone = later | then
    assert log.relevance is not None
    return in_order(
        replace(
            log,
            user=np.where(later, NOBODY, log.user),
            item=np.where(gone, NOTHING, log.item),
            value=np.where(gone, np.float32(9), log.value),
            relevance=np.where(gone, np.float32(1), log.relevance),
        )
    )


@settings(max_examples=12, phases=QUICK)
@given(EVENTS, st.booleans(), st.data())
def test_all_features_of_a_list_are_those_of_a_log_that_ends_before_it(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, int, int, float]],
    served: bool,
    data: st.DataObject,
) -> None:
    log = log_of(events, served=served)
    moments = moments_of(log)
    with_past = np.unique(moments.at_s[moments.start > moments.first])
    at_s = float(data.draw(st.sampled_from(with_past.tolist() or [START_S + 41.0])))
    folder = tmp_path_factory.mktemp("log")
    whole, shorter = Built(log, folder / "whole"), Built(without_events_from(log, at_s), folder / "shorter")
    for split in ("train", "valid", "test"):
        lists, others = dict(whole.lists(split, at_s)), dict(shorter.lists(split, at_s))
        assert {key for key in lists if key[1] < at_s} <= set(others)
        for key in set(lists) & set(others):
            assert lists[key].keys() == others[key].keys()
            for name, values in lists[key].items():
                np.testing.assert_array_equal(values, others[key][name], f"{split} {key} {name}")
    train_end_s = cut(log, CONFIG.train_share, CONFIG.valid_share).valid_s
    if (np.load(whole.data.impressions / "train" / "at_s.npy") < min(at_s, train_end_s)).any():
        for values, wanted in zip(shorter.vectors(at_s), whole.vectors(at_s), strict=True):
            np.testing.assert_array_equal(values, wanted)


@settings(max_examples=8, phases=QUICK)
@given(EVENTS, st.integers(5, 39))
def test_all_features_of_a_shown_list_are_those_of_a_log_that_ends_before_it(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, float]], after_s: int
) -> None:
    log, at_s = with_shown_lists(log_of(events, served=True)), float(START_S + after_s)
    folder = tmp_path_factory.mktemp("log")
    whole, shorter = Built(log, folder / "whole"), Built(without_events_from(log, at_s), folder / "shorter")
    compared = 0
    for split in ("train", "valid", "test"):
        others = dict(shorter.lists(split, at_s))
        for key, columns in whole.lists(split, at_s):
            compared += 1
            for name, values in columns.items():
                np.testing.assert_array_equal(values, others[key][name], f"{split} {key} {name}")
    assert compared == after_s + 1


@settings(max_examples=12, phases=QUICK)
@given(EVENTS, st.integers(0, 41))
def test_number_and_popularity_are_counted_from_the_earlier_events_alone(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, float]], after_s: int
) -> None:
    log, at_s = log_of(events, served=True), float(START_S + after_s)
    built = Built(log, tmp_path_factory.mktemp("log") / "data")
    assert built.timelines is not None and log.relevance is not None
    rows = np.arange(len(built.catalogue))
    item_of_row = [int(item_id[1:]) for item_id in built.catalogue.ids]
    counted = (log.at_s < at_s) & (log.relevance > 0)
    users = [len(set(log.user[counted & (log.item == item)].tolist())) for item in item_of_row]
    times = np.full(len(rows), at_s)
    popularity = built.timelines.values("popularity", rows, times)
    np.testing.assert_array_equal(popularity, np.log1p(users).astype(np.float32))
    number = built.timelines.values("number", rows, times)
    trained = at_s <= cut(log, CONFIG.train_share, CONFIG.valid_share).valid_s
    known = np.array(users) > 0
    assert sorted(number[known & (number > 0)]) == list(range(1, int((number > 0).sum()) + 1))
    assert (number[~known] == 0).all()
    assert not trained or (number[known] > 0).all()


@settings(max_examples=12, phases=QUICK)
@given(EVENTS)
def test_after_the_last_event_the_timelines_have_the_bits_of_the_catalogue(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, float]]
) -> None:
    built = Built(log_of(events, served=True), tmp_path_factory.mktemp("log") / "data")
    assert built.timelines is not None
    rows = np.arange(len(built.catalogue))
    for column in ("number", "popularity"):
        now = built.timelines.values(column, rows, np.full(len(rows), np.inf))
        assert now.tobytes() == np.asarray(built.catalogue.columns[column]).tobytes()
        assert now.dtype == built.catalogue.columns[column].dtype


def test_an_item_that_appears_later_is_like_one_that_nobody_has_chosen(tmp_path: Path) -> None:
    events = [(user, user, 10 * user + step, 1.0) for user in range(3) for step in range(8)]
    built = Built(log_of([*events, (0, 3, 40, 1.0), (1, 4, 41, 1.0)], served=True), tmp_path / "data")
    rows = built.catalogue.rows_of_keys(np.array([item_key(f"i{item}") for item in (2, NOTHING)]))
    assert built.timelines is not None
    for column in ("number", "popularity"):
        before = built.timelines.values(column, rows, np.full(2, START_S + 20.0))
        assert before.tolist() == [0, 0]
        after = built.timelines.values(column, rows, np.full(2, START_S + 21.0))
        assert after[0] > 0 == after[1]
