from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ragged import RaggedArray, RaggedBatch, offsets_of
from services.errors import StageFailed
from services.wire import MAX_CALL_BYTES, cut_batch, pack, pack_batch, packed_bytes, unpack, unpack_batch
from tests.services.batches import full_batches


def assert_same(one: RaggedBatch, other: RaggedBatch) -> None:
    assert one.release == other.release
    for left, right in (
        (one.offsets, other.offsets),
        (one.rows, other.rows),
        (one.deadlines_s, other.deadlines_s),
        (one.priorities, other.priorities),
    ):
        np.testing.assert_array_equal(left, right)
    assert one.candidates.keys() == other.candidates.keys()
    for name, values in one.candidates.items():
        np.testing.assert_array_equal(values, other.candidates[name])
        assert values.dtype == other.candidates[name].dtype
    assert one.requests.keys() == other.requests.keys()
    for name, column in one.requests.items():
        twin = other.requests[name]
        if isinstance(column, RaggedArray):
            assert isinstance(twin, RaggedArray)
            np.testing.assert_array_equal(column.values, twin.values)
            np.testing.assert_array_equal(column.offsets, twin.offsets)
            assert column.values.dtype == twin.values.dtype
        else:
            assert isinstance(twin, np.ndarray)
            np.testing.assert_array_equal(column, twin)
            assert column.dtype == twin.dtype


def score(batch: RaggedBatch) -> NDArray[np.float64]:
    """Return a score that depends on the row, its cell, its request's column and its request's history."""
    bias, history = batch.requests["user.bias"], batch.requests["user.history"]
    assert isinstance(bias, np.ndarray)
    assert isinstance(history, RaggedArray)
    own = [float(bias[i]) + float(history[i].sum() % 97) for i in range(len(batch))]
    scores: NDArray[np.float64] = batch.rows + np.array(own)[batch.request_of()]
    return scores + batch.candidates.get("cell.crowd", 0.0)


@given(full_batches())
def test_batch_survives_the_round_trip(batch: RaggedBatch) -> None:
    assert_same(unpack_batch(pack_batch(batch)), batch)


def test_candidate_columns_are_packed_except_scores() -> None:
    batch = RaggedBatch(
        offsets=np.array([0, 2]),
        rows=np.arange(2),
        candidates={"cell.crowd": np.ones(2, dtype=np.float32), "score": np.ones(2), "age": np.ones(2)},
    )
    assert list(unpack_batch(pack_batch(batch)).candidates) == ["cell.crowd", "age"]


@given(full_batches(), st.integers(1100, 4000))
def test_pieces_stay_below_the_limit_and_give_the_same_scores(batch: RaggedBatch, limit: int) -> None:
    pieces = list(cut_batch(batch, limit))
    assert all(len(pack_batch(piece)) < limit for piece in pieces)
    assert all(piece.release == batch.release for piece in pieces)
    travelled = [unpack_batch(pack_batch(piece)) for piece in pieces]
    np.testing.assert_array_equal(np.concatenate([score(piece) for piece in travelled]), score(batch))


@given(full_batches())
def test_computes_the_size_without_packing(batch: RaggedBatch) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "rows": batch.rows,
        "score": score(batch),
        "none": np.zeros(0, dtype=np.int8),
    }
    assert packed_bytes(arrays, batch.release) == len(pack(arrays, batch.release))


def test_cuts_batch_over_four_mebibytes_by_requests() -> None:
    random = np.random.default_rng(3)
    requests, each, history = 40, 1000, 20_000
    batch = RaggedBatch(
        offsets=offsets_of(np.full(requests, each)),
        rows=random.integers(0, 10_000, requests * each),
        requests={
            "user.bias": random.normal(size=requests).astype(np.float32),
            "user.history": RaggedArray(
                random.integers(0, 2**40, requests * history), offsets_of(np.full(requests, history))
            ),
        },
    )
    assert MAX_CALL_BYTES < 4 * 1024 * 1024
    for limit in (MAX_CALL_BYTES, 400_000):
        pieces = list(cut_batch(batch, limit))
        assert len(pieces) > 1
        assert all(len(pack_batch(piece)) < limit for piece in pieces)
        assert sum(len(piece) for piece in pieces) == requests
        np.testing.assert_array_equal(np.concatenate([score(piece) for piece in pieces]), score(batch))


def test_cuts_one_huge_request_by_candidates() -> None:
    count = 3_000_000
    batch = RaggedBatch(
        offsets=np.array([0, count]),
        rows=np.arange(count, dtype=np.int64),
        requests={
            "user.bias": np.ones(1, dtype=np.float32),
            "user.history": RaggedArray(np.arange(5), np.array([0, 5])),
        },
        deadlines_s=np.array([9.0]),
        priorities=np.array([1], dtype=np.int32),
    )
    pieces = list(cut_batch(batch))
    assert len(pieces) > 2
    assert all(len(pack_batch(piece)) < MAX_CALL_BYTES for piece in pieces)
    np.testing.assert_array_equal(np.concatenate([score(piece) for piece in pieces]), score(batch))


def test_refuses_user_features_over_the_limit_and_names_the_remedy() -> None:
    batch = RaggedBatch(
        offsets=np.array([0, 4]),
        rows=np.arange(4),
        requests={"user.history": RaggedArray(np.arange(1000), np.array([0, 1000]))},
    )
    with pytest.raises(StageFailed, match=r"got 8[0-9]{3} bytes of at most 4096; lower max_length"):
        list(cut_batch(batch, 4096))


@settings(max_examples=200)
@example((20, b"V"))  # rows of bytes
@example((263, b"0"))  # a type with a leading zero, which NumPy parses as Python code
@given(st.one_of(st.binary(max_size=64), st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4))))
def test_damaged_call_raises_stage_failed(damage: bytes | tuple[int, bytes]) -> None:
    if isinstance(damage, bytes):
        buffer = damage
    else:
        whole = pack_batch(
            RaggedBatch(offsets=np.array([0, 2]), rows=np.array([4, 5]), requests={"user.a": np.ones((1, 2))})
        )
        offset = damage[0] % len(whole)
        buffer = whole[:offset] + damage[1] + whole[offset + len(damage[1]) :]
    try:
        batch = unpack_batch(buffer)
    except StageFailed as error:
        assert "run the same version in all units" in error.detail
    else:
        assert isinstance(batch, RaggedBatch)


def test_arrays_are_views_of_the_buffer() -> None:
    arrays, release, _ = unpack(pack({"score": np.arange(3, dtype=np.float32)}, "r1"))
    assert (arrays["score"].tolist(), release) == ([0.0, 1.0, 2.0], "r1")
    assert arrays["score"].base is not None
