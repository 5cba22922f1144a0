"""Decoding some features of a batch of rows gives the same bits as decoding all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.features.aggregates import as_of
from models.features.definition import Feature
from models.features.rows import UserRowCodec
from models.ragged import Column, RaggedArray
from tests.models.features.events import AGGREGATES, FEATURES, USERS, Arrivals, arrivals, moments
from tests.models.features.test_aggregates import stored

CODEC = UserRowCodec(FEATURES)
COLUMNS = [feature.column for feature in FEATURES.supplied("user")]


def assert_same_bits(first: Column, second: Column) -> None:
    if isinstance(first, RaggedArray) and isinstance(second, RaggedArray):
        np.testing.assert_array_equal(first.offsets, second.offsets)
        first, second = first.values, second.values
    assert isinstance(first, np.ndarray)
    assert isinstance(second, np.ndarray)
    assert (first.dtype, first.shape, first.tobytes()) == (second.dtype, second.shape, second.tobytes())


@given(arrivals(), st.sets(st.sampled_from(COLUMNS)), st.lists(moments(), min_size=USERS, max_size=USERS))
def test_some_features_have_the_same_bits_as_among_all(
    events: Arrivals, wanted: set[str], times_s: list[float]
) -> None:
    rows, now_s = stored(events), np.array(times_s)
    everything = CODEC.decode(rows, now_s).columns
    some = CODEC.decoder_of(wanted)(rows, now_s).columns
    assert some.keys() == wanted
    for name, column in some.items():
        assert_same_bits(column, everything[name])


@given(arrivals(), st.sampled_from(AGGREGATES), st.integers(0, USERS - 1), st.integers(0, 1000))
def test_a_batch_after_all_events_equals_the_definition(
    events: Arrivals, feature: Feature, user: int, later_s: int
) -> None:
    """At most such times the decoder searches no events."""
    now_s = np.array([float(events.at_s.max(initial=0.0)) + later_s] * 2)
    rows = [
        CODEC.default_row if row is None else row
        for row in stored(events.take(np.flatnonzero(events.at_s < now_s[0])))
    ]
    decoded = CODEC.decoder_of({feature.column})([rows[user], rows[0]], now_s).columns[feature.column]
    assert_same_bits(decoded, as_of(feature, events.table(), np.array([user, 0]), now_s))


def test_rows_are_checked_even_if_no_feature_is_wanted() -> None:
    decoded = CODEC.decoder_of(())([b"garbage", None, CODEC.default_row], np.zeros(3))
    assert decoded.columns == {}
    assert decoded.unreadable == [0]
