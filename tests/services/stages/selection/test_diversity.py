import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.stages.selection.diversity import maximal_marginal_relevance


def naive_mmr(
    scores: NDArray[np.float32],
    vectors: NDArray[np.float32],
    count: int,
    weight: float,
    groups: list[int],
    most: int,
) -> list[list[float]]:
    """Yield, pick by pick, the marginal relevance of one list's candidates that are not picked yet."""
    low, high = float(scores.min()), float(scores.max())
    relevance = [(float(s) - low) / max(high - low, 1e-12) for s in scores]
    taken: list[int] = []
    gains = []
    for _ in range(min(count, len(scores))):
        gain = [
            -math.inf
            if i in taken or [groups[j] for j in taken].count(groups[i]) >= most
            else weight * relevance[i]
            - (1 - weight) * max([0.0, *[float(vectors[i] @ vectors[j]) for j in taken]])
            for i in range(len(scores))
        ]
        if max(gain) == -math.inf:
            break
        gains.append(gain)
        taken.append(int(np.argmax(gain)))
    return gains


@settings(max_examples=150)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    count=st.integers(1, 12),
    weight=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    most=st.none() | st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_each_pick_equals_that_of_a_naive_search(
    lengths: list[int], count: int, weight: float, most: int | None, seed: int
) -> None:
    random = np.random.default_rng(seed)
    longest = max(lengths)
    scores = random.normal(size=(len(lengths), longest)).astype(np.float32) * 50
    vectors = random.normal(size=(len(lengths), longest, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    mask = np.arange(longest)[None, :] < np.array(lengths)[:, None]
    groups = random.integers(0, 3, scores.shape)
    if most is None:
        picked = maximal_marginal_relevance(scores, vectors, mask, count, weight)
    else:
        picked = maximal_marginal_relevance(scores, vectors, mask, count, weight, groups, most)
    assert picked.shape == (len(lengths), min(count, longest))
    for i, length in enumerate(lengths):
        gains = naive_mmr(
            scores[i, :length], vectors[i, :length], count, weight, groups[i].tolist(), most or length
        )
        own = [slot for slot in picked[i].tolist() if slot >= 0]
        assert picked[i, : len(own)].tolist() == own  # after the last candidate, all picks are -1
        assert len(set(own)) == len(own)
        assert max(own) < length
        if most is not None:
            assert np.bincount(groups[i, own]).max() <= most
        for index, slot in enumerate(own[: len(gains)]):
            best = max(gains[index])
            assert gains[index][slot] == pytest.approx(best, abs=1e-5)
            if gains[index][slot] != best:
                break  # equal except for rounding, so the two differ from here on
        else:
            assert len(own) == len(gains)


def test_weight_one_keeps_the_order_of_the_scores() -> None:
    scores = np.array([[1.0, 5.0, 3.0, 4.0]], dtype=np.float32)
    vectors = np.ones((1, 4, 2), dtype=np.float32)
    picked = maximal_marginal_relevance(scores, vectors, np.ones((1, 4), dtype=bool), 4, 1.0)
    assert picked.tolist() == [[1, 3, 2, 0]]


def test_picks_a_new_item_before_a_duplicate_of_an_earlier_pick() -> None:
    scores = np.array([[1.0, 0.99, 0.5, 0.0]], dtype=np.float32)
    vectors = np.array([[[1, 0], [1, 0], [0, 1], [0, 1]]], dtype=np.float32)
    picked = maximal_marginal_relevance(scores, vectors, np.ones((1, 4), dtype=bool), 2, 0.5)
    assert picked.tolist() == [[0, 2]]


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from([math.nan, math.inf, -math.inf, 3.4e38, -3.4e38, 0.0, 1.0]), min_size=6, max_size=6
    )
)
def test_nan_scores_never_cause_duplicate_or_invalid_picks(values: list[float]) -> None:
    scores = np.array([values, values], dtype=np.float32)
    vectors = np.eye(6, dtype=np.float32)[None].repeat(2, axis=0)
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2])
    picked = maximal_marginal_relevance(scores, vectors, mask, 6, 0.7)
    assert sorted(picked[0].tolist()) == list(range(6))
    assert sorted(picked[1, :4].tolist()) == list(range(4))


def test_nan_score_does_not_change_the_order_of_others() -> None:
    scores = np.array([[1.0, math.nan, 3.0, 2.0]], dtype=np.float32)
    vectors = np.eye(4, dtype=np.float32)[None]
    picked = maximal_marginal_relevance(scores, vectors, np.ones((1, 4), dtype=bool), 3, 1.0)
    assert picked.tolist() == [[2, 3, 0]]
