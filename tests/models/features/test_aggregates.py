"""Aggregates match their definition, and the same events have the same result offline and online."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.features.aggregates import Aggregate, as_of
from models.features.definition import Feature
from models.features.rows import UserRowCodec
from models.ragged import Column, RaggedArray
from tests.models.features.events import AGGREGATES, FEATURES, USERS, Arrivals, arrivals, moments

CODEC = UserRowCodec(FEATURES)


def one(column: Column, index: int) -> np.ndarray[Any, Any]:
    return np.asarray(column[index])


def stored(events: Arrivals) -> list[bytes | None]:
    """Store the events one at a time in arrival order, and return each user's row."""
    rows: list[bytes | None] = [None] * USERS
    for index, user in enumerate(events.user.tolist()):
        at_s, sequence = float(events.at_s[index]), int(events.sequence[index])
        rows[user] = CODEC.with_event(rows[user], "rating", at_s, sequence, events.fields_of(index))
    return rows


def by_hand(feature: Feature, events: Arrivals, user: int, now_s: float) -> Any:
    """Return one user's feature, computed event by event from the definition."""
    aggregate = feature.aggregate
    assert aggregate is not None
    known = {
        (float(events.at_s[i]), int(events.sequence[i])): i
        for i in range(len(events.user))
        if events.user[i] == user and events.at_s[i] < now_s
    }
    order = [known[key] for key in sorted(known)][-feature.event_limit :]
    if aggregate.window_s is not None:
        order = [i for i in order if events.at_s[i] >= now_s - aggregate.window_s]
    if order and feature.fresh_for_s is not None and now_s - events.at_s[order[-1]] > feature.fresh_for_s:
        order = []
    values = events.at_s[order] if aggregate.field == "at_s" else events.fields[aggregate.field][order]
    if aggregate.kind == "last_values":
        return values
    if not order:
        return feature.default_value()
    if aggregate.kind == "count":
        return len(order)
    if aggregate.kind == "last":
        return values[-1]
    total = np.sum(values.astype(np.float64), axis=0)
    return total if aggregate.kind == "sum" else total / len(order)


@given(arrivals(), moments())
def test_aggregate_equals_a_computation_by_hand(events: Arrivals, now_s: float) -> None:
    users, table = np.arange(USERS), events.table()
    for feature in AGGREGATES:
        column = as_of(feature, table, users, np.full(USERS, now_s))
        for user in range(USERS):
            expected = by_hand(feature, events, user, now_s)
            np.testing.assert_allclose(one(column, user), expected, rtol=1e-5, atol=1e-5)
            assert one(column, user).dtype == feature.dtype


@given(arrivals(), st.lists(st.tuples(st.integers(0, USERS - 1), moments()), min_size=1, max_size=8))
def test_offline_and_online_results_have_the_same_bits(
    events: Arrivals, queries: list[tuple[int, float]]
) -> None:
    """Compare many pairs over the whole table (offline) with the stored row at each time (online)."""
    user, now_s = np.array([u for u, _ in queries]), np.array([moment for _, moment in queries])
    rows = [stored(events.take(np.flatnonzero(events.at_s < moment)))[u] for u, moment in queries]
    online = CODEC.decode(rows, now_s).columns
    table = events.table()
    for feature in AGGREGATES:
        offline = as_of(feature, table, user, now_s)
        for index in range(len(queries)):
            expected, got = one(offline, index), one(online[feature.column], index)
            assert got.dtype == expected.dtype
            assert got.tobytes() == expected.tobytes(), feature.name


@given(arrivals(), moments())
def test_later_events_change_nothing(events: Arrivals, now_s: float) -> None:
    users, moment = np.arange(USERS), np.full(USERS, now_s)
    past = events.take(np.flatnonzero(events.at_s < now_s)).table()
    for feature in AGGREGATES:
        whole, known = as_of(feature, events.table(), users, moment), as_of(feature, past, users, moment)
        for user in range(USERS):
            assert one(whole, user).tobytes() == one(known, user).tobytes()


@given(arrivals(), st.randoms(use_true_random=False))
def test_rows_do_not_depend_on_the_order_of_arrival(events: Arrivals, random: Any) -> None:
    order = list(range(len(events.user)))
    random.shuffle(order)
    assert stored(events) == stored(events.take(np.array(order, dtype=np.int64)))


@given(arrivals(), moments())
def test_rows_loaded_at_once_equal_rows_fed_one_event_at_a_time(events: Arrivals, now_s: float) -> None:
    table = events.table()
    records = table.records(CODEC.events.types["rating"])
    loaded = [
        CODEC.encode({}, events={"rating": records[table.offsets[user] : table.offsets[user + 1]]})
        for user in range(USERS)
    ]
    assert loaded == [CODEC.default_row if row is None else row for row in stored(events)]


def test_ties_in_time_are_ordered_by_sequence() -> None:
    row = None
    for sequence in (2, 0, 1):
        row = CODEC.with_event(
            row, "rating", 10.0, sequence, {"key": sequence, "value": sequence, "place": (0.0, 0.0)}
        )
    columns = CODEC.decode([row], np.array([11.0])).columns
    keys = columns["user.keys"]
    assert isinstance(keys, RaggedArray)
    assert keys[0].tolist() == [0, 1, 2]
    assert columns["user.last"].tolist() == [2.0]  # type: ignore[union-attr]


def test_a_user_without_events_has_the_default_row() -> None:
    assert CODEC.encode({}) == CODEC.default_row


def test_ignores_unused_events_and_rejects_missing_or_invalid_fields() -> None:
    assert CODEC.with_event(None, "opened", 1.0, 0, {}) == CODEC.default_row
    with pytest.raises(ValueError, match="field 'key' is missing, but features read it"):
        CODEC.with_event(None, "rating", 1.0, 0, {"value": 1.0})
    with pytest.raises(ValueError, match="at_s must be epoch seconds, got nan"):
        CODEC.with_event(None, "rating", float("nan"), 0, {"key": 1, "value": 1.0, "place": (0.0, 0.0)})
    with pytest.raises(ValueError, match=r"event rating: place must be finite, got .*nan"):
        CODEC.with_event(None, "rating", 1.0, 0, {"key": 1, "value": 1.0, "place": (0.0, float("nan"))})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kind": "count", "event": "rating"}, "window_s and max_events"),
        ({"kind": "last", "event": "rating", "max_events": 3}, "no max_events"),
        ({"kind": "last", "event": "rating", "field": "sequence"}, "sequence, which only orders"),
        ({"kind": "median", "event": "rating"}, "last_values"),
        ({"kind": "last", "event": "Rating"}, "pattern"),
    ],
)
def test_a_wrong_aggregate_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Aggregate.model_validate(document)
