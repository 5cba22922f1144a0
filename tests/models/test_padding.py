"""Padded lists and chunks are complete and never need more slots than necessary."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.padding import chunk_offsets, from_lists, mask_of, to_lists
from models.ragged import offsets_of


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_unpadding_restores_the_padded_values(lengths: list[int]) -> None:
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    values = np.arange(offsets[-1] * 2, dtype=np.float32).reshape(-1, 2)
    lists = to_lists(values, offsets)
    assert lists.shape == (len(lengths), max(lengths), 2)
    np.testing.assert_array_equal(from_lists(lists, offsets), values)
    assert mask_of(offsets).sum(axis=1).tolist() == lengths


def test_lists_of_one_length_are_not_copied() -> None:
    values = np.arange(6, dtype=np.float32)
    assert np.shares_memory(to_lists(values, np.array([0, 3, 6])), values)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_chunks_stay_within_requests_and_need_no_more_slots_than_lists(lengths: list[int]) -> None:
    offsets = offsets_of(np.array(lengths, dtype=np.int64))
    cuts = chunk_offsets(offsets)
    assert set(offsets.tolist()) <= set(cuts.tolist())
    assert (np.diff(cuts) >= 0).all()
    padded = len(np.diff(cuts)) * int(np.diff(cuts).max(initial=0))
    assert padded <= len(lengths) * max(lengths)  # never more than lists padded to the longest


def test_one_long_request_does_not_pad_the_short_ones() -> None:
    cuts = np.diff(chunk_offsets(offsets_of(np.array([1000] + [50] * 15))))
    assert len(cuts) * cuts.max() < 1.3 * 1750
