"""Ragged arrays and batches: selecting and joining requests keeps their data."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models.ragged import RaggedArray, RaggedBatch, gather_positions, offsets_of

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=8)


def batch_of(lengths: list[int], release: str = "r1") -> RaggedBatch:
    """Return a batch in which every value identifies its request and position."""
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    total, count = int(offsets[-1]), len(lengths)
    return RaggedBatch(
        offsets=offsets,
        rows=np.arange(total, dtype=np.int64),
        requests={
            "user.number": np.arange(count),
            "user.history": RaggedArray(np.arange(total) * 10, offsets),
        },
        candidates={"score": np.arange(total, dtype=np.float32) / 2},
        deadlines_s=np.arange(count, dtype=np.float64),
        priorities=np.arange(count, dtype=np.int32),
        k=np.arange(count, dtype=np.int64),
        release=release,
        user_keys=[b"%d" % number for number in range(count)],
    )


@given(LENGTHS, st.data())
def test_take_returns_all_data_of_each_request(lengths: list[int], data: st.DataObject) -> None:
    batch = batch_of(lengths)
    picked = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6)), dtype=np.int64)
    selected = batch.take(picked)
    assert len(selected) == len(picked)
    history, selected_history = batch.requests["user.history"], selected.requests["user.history"]
    assert isinstance(history, RaggedArray)
    assert isinstance(selected_history, RaggedArray)
    for index, request in enumerate(picked):
        target = slice(selected.offsets[index], selected.offsets[index + 1])
        source = slice(batch.offsets[request], batch.offsets[request + 1])
        np.testing.assert_array_equal(selected.rows[target], batch.rows[source])
        np.testing.assert_array_equal(selected.candidates["score"][target], batch.candidates["score"][source])
        np.testing.assert_array_equal(selected_history[index], history[int(request)])
        assert selected.user_keys[index] == batch.user_keys[request]
        assert selected.deadlines_s is not None
        assert selected.deadlines_s[index] == request
        assert selected.k is not None
        assert selected.k[index] == request


@given(LENGTHS, st.data())
def test_between_equals_taking_the_same_requests(lengths: list[int], data: st.DataObject) -> None:
    batch = replace(
        batch_of(lengths).missing("features", [0]), unknown_users=np.arange(len(lengths)) % 2 == 0
    )
    first = data.draw(st.integers(0, len(lengths) - 1))
    last = data.draw(st.integers(first + 1, len(lengths)))
    view, copy = batch.between(first, last), batch.take(np.arange(first, last))
    assert str(view) == str(copy)
    assert np.shares_memory(view.rows, batch.rows) or not view.candidate_count


@given(st.lists(LENGTHS, min_size=1, max_size=4))
def test_concatenation_undoes_a_split(parts: list[list[int]]) -> None:
    whole = batch_of([length for part in parts for length in part])
    bounds = np.cumsum([0, *(len(part) for part in parts)])
    pieces = [whole.take(np.arange(a, b)) for a, b in itertools.pairwise(bounds)]
    joined = RaggedBatch.concatenate(pieces)
    np.testing.assert_array_equal(joined.offsets, whole.offsets)
    np.testing.assert_array_equal(joined.rows, whole.rows)
    np.testing.assert_array_equal(joined.candidates["score"], whole.candidates["score"])
    history = joined.requests["user.history"]
    assert isinstance(history, RaggedArray)
    np.testing.assert_array_equal(history.values, whole.requests["user.history"].values)  # type: ignore[union-attr]
    assert list(joined.user_keys) == list(whole.user_keys)
    assert joined.k is not None
    np.testing.assert_array_equal(joined.k, whole.k)


def test_marks_of_unknown_users_follow_their_requests() -> None:
    one = replace(batch_of([2, 1]), unknown_users=np.array([True, False]))
    joined = RaggedBatch.concatenate([batch_of([3]), one])
    assert joined.unknown_users is not None
    assert joined.unknown_users.tolist() == [False, True, False]
    taken = joined.take(np.array([1, 0])).unknown_users
    assert taken is not None
    assert taken.tolist() == [True, False]
    assert RaggedBatch.concatenate([batch_of([3]), batch_of([1])]).unknown_users is None


def test_a_batch_never_mixes_releases() -> None:
    with pytest.raises(ValueError, match=r"must have one release, got \['r1', 'r2'\]"):
        RaggedBatch.concatenate([batch_of([2]), batch_of([1], release="r2")])


@given(LENGTHS)
def test_returns_the_request_of_each_candidate(lengths: list[int]) -> None:
    batch = batch_of(lengths)
    assert batch.request_of().tolist() == [i for i, length in enumerate(lengths) for _ in range(length)]


def test_keep_selects_the_candidates_in_every_column() -> None:
    batch = batch_of([3, 2]).keep(np.array([0, 2, 4]), np.array([0, 2, 3]))
    assert batch.rows.tolist() == [0, 2, 4]
    assert batch.candidates["score"].tolist() == [0.0, 1.0, 2.0]
    assert batch.request_of().tolist() == [0, 0, 1]


def test_positions_of_no_sequence_are_empty() -> None:
    positions, offsets = gather_positions(np.array([0, 2]), np.zeros(0, dtype=np.int64))
    assert positions.tolist() == []
    assert offsets.tolist() == [0]


def test_missed_reasons_stay_with_their_request() -> None:
    first = batch_of([2, 1, 3]).missing("features", [1]).missing("ranker", [1, 2])
    second = batch_of([1, 1]).missing("cell", [0])
    joined = RaggedBatch.concatenate([first, second])
    reasons = [[], ["features", "ranker"], ["ranker"], ["cell"], []]
    assert [joined.missed_by(request) for request in range(5)] == reasons
    selected = joined.take(np.array([3, 1]))
    assert [selected.missed_by(request) for request in range(2)] == [["cell"], ["features", "ranker"]]
    assert first.missing("ranker", [0]).missed_by(0) == ["ranker"]
    assert first.missed_by(0) == []
