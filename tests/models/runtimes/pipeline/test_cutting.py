"""Cutting layers and batches into runs: complete, in order, and nearly equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.runtimes.pipeline.cutting import MOST_ROUNDS, Cutting, cut, distribute, runs

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


@given(sizes=SIZES, ranks=st.integers(1, 40))
def test_no_rank_gets_more_than_in_one_round_and_all_get_the_same_number_of_rounds(
    sizes: list[int], ranks: int
) -> None:
    if len(sizes) < ranks:
        with pytest.raises(ValueError, match="must be at most the number of layers"):
            distribute(sizes, ranks, MOST_ROUNDS)
        return
    shares = distribute(sizes, ranks, MOST_ROUNDS)
    assert 1 <= len({len(stages) for stages in shares}) == 1
    assert len(shares[0]) <= MOST_ROUNDS
    in_order = [layer for stages in zip(*shares, strict=True) for run in stages for layer in run]
    assert in_order == list(range(len(sizes)))
    heaviest = max(sum(sizes[layer] for run in stages for layer in run) for stages in shares)
    assert heaviest <= max(sum(sizes[layer] for layer in run) for run in cut(sizes, ranks))


@pytest.mark.parametrize(
    ("layers", "ranks", "rounds"), [(12, 2, 6), (24, 2, 12), (6, 4, 1), (5, 2, 2), (7, 3, 2), (64, 2, 8)]
)
def test_equal_layers_are_distributed_in_rounds_of_equal_stages(layers: int, ranks: int, rounds: int) -> None:
    assert len(distribute([7] * layers, ranks, MOST_ROUNDS)[0]) == rounds


@given(count=st.integers(0, 500), number=st.integers(1, 50))
def test_a_batch_is_cut_into_nearly_equal_runs(count: int, number: int) -> None:
    result = runs(count, number)
    assert [index for start, length in result for index in range(start, start + length)] == list(range(count))
    assert len(result) == number
    assert max(length for _, length in result) - min(length for _, length in result) <= 1


CUTTINGS = st.builds(
    Cutting, ranks=st.integers(2, 8), rounds=st.integers(1, MOST_ROUNDS), most=st.integers(1, 256)
)


@given(cutting=CUTTINGS, count=st.integers(0, 300), rows=st.integers(0, 600), first_rows=st.integers(0, 5000))
def test_a_batch_has_no_empty_micro_batches_and_no_more_than_allowed(
    cutting: Cutting, count: int, rows: int, first_rows: int
) -> None:
    assert 1 <= cutting.number(count, rows, first_rows) <= max(1, min(count, cutting.most))


def test_large_batches_are_cut_into_more_micro_batches_than_small_ones() -> None:
    one_round, many = Cutting(ranks=2, rounds=1, most=8), Cutting(ranks=2, rounds=6, most=8)
    assert [one_round.number(count, 32) for count in (1, 4, 16, 64)] == [1, 2, 4, 8]
    assert [many.number(count, 32) for count in (1, 4, 16, 64)] == [1, 2, 2, 4]


def test_candidates_behind_a_long_history_are_not_cut() -> None:
    cutting = Cutting(ranks=2, rounds=6, most=8)
    assert cutting.number(64, 1, first_rows=1000) == 1
    assert cutting.number(64, 1, first_rows=21) == 2
