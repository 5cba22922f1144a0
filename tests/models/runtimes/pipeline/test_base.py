"""Cutting layers and batches into runs: complete, in order, and nearly equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.runtimes.pipeline.base import FEWEST_ROWS, cut, runs

SIZES = st.lists(st.integers(1, 1000), min_size=1, max_size=40)


@given(sizes=SIZES, ranks=st.integers(1, 40))
def test_layers_are_cut_into_runs_of_nearly_the_same_bytes(sizes: list[int], ranks: int) -> None:
    if len(sizes) < ranks:
        with pytest.raises(ValueError, match="must be at most the number of layers"):
            cut(sizes, ranks)
        return
    result = cut(sizes, ranks)
    assert len(result) == ranks
    assert [layer for run in result for layer in run] == list(range(len(sizes)))
    assert all(len(run) > 0 for run in result)
    if len(set(sizes)) == 1:
        assert max(map(len, result)) - min(map(len, result)) <= 1


def test_heavy_layer_gets_a_rank_of_its_own() -> None:
    assert cut([1, 1, 10, 1, 1], 3) == [range(2), range(2, 3), range(3, 5)]


@given(count=st.integers(0, 500), rows=st.integers(1, 100), max_runs=st.integers(1, 50))
def test_a_batch_is_cut_into_nearly_equal_runs_of_enough_rows(count: int, rows: int, max_runs: int) -> None:
    result = runs(count, rows, max_runs)
    assert [index for start, length in result for index in range(start, start + length)] == list(range(count))
    assert 1 <= len(result) <= max(1, min(count, max_runs))
    assert len(result) == 1 or count * rows >= FEWEST_ROWS * len(result)
    assert max(length for _, length in result) - min(length for _, length in result) <= 1
