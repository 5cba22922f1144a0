"""Metrics, compared with calculations by hand and with their definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ragged import offsets_of
from models.training.metrics import TOP, mrr, ndcg, quality

F32 = np.float32


def test_ndcg_matches_a_calculation_by_hand() -> None:
    scores = np.array([3, 2, 1, 9, 8], dtype=F32)
    labels = np.array([0, 1, 0.5, 1, 0], dtype=F32)  # first list: gain 1/log2(3) + 0.5/2, second list: ideal
    actual = (1 / math.log2(3) + 0.5 / 2) / (1 + 0.5 / math.log2(3))
    assert ndcg(scores, labels, np.array([0, 3, 5])) == pytest.approx((actual + 1) / 2)


def test_mrr_uses_the_first_relevant_candidate() -> None:
    scores = np.array([3, 2, 1, 9, 8], dtype=F32)
    labels = np.array([0.25, 0.5, 1, 0, 0], dtype=F32)
    assert mrr(scores, labels, np.array([0, 3, 5])) == pytest.approx(
        1 / 2
    )  # the second list has no relevant candidate


def test_metrics_are_nan_without_positive_labels() -> None:
    assert all(math.isnan(v) for v in quality(np.ones(2, F32), np.zeros(2, F32), np.array([0, 2])).values())


def test_the_best_candidates_are_relevant_if_all_labels_are_small() -> None:
    scores, offsets = np.array([3, 2, 1, 9, 8], dtype=F32), np.array([0, 3, 5])
    clicks = np.array([0.05, 0.2, 0.1, 0, 0.2], dtype=F32)  # 0.1 is half of the highest label
    assert mrr(scores, clicks, offsets) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert quality(scores, clicks, offsets) == pytest.approx(quality(scores, clicks * 5, offsets))


def test_metric_names_start_with_the_prefix() -> None:
    assert set(quality(np.ones(1, F32), np.ones(1, F32), np.array([0, 1]), "random_")) == {
        "random_ndcg_at_10",
        "random_mrr",
    }


@given(st.lists(st.integers(1, 25), min_size=1, max_size=6), st.integers(0, 1000))
def test_ndcg_is_the_mean_over_lists_of_any_length(lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    offsets = offsets_of(np.array(lengths))
    scores = random.permutation(int(offsets[-1])).astype(F32)
    labels = random.random(int(offsets[-1]), dtype=F32)
    expected = []
    for start, end in itertools.pairwise(offsets):
        discounts = 1 / np.log2(np.arange(2, 2 + TOP))
        actual = labels[start:end][np.argsort(-scores[start:end])][:TOP]
        best = np.sort(labels[start:end])[::-1][:TOP]
        expected.append((actual * discounts[: len(actual)]).sum() / (best * discounts[: len(best)]).sum())
    assert ndcg(scores, labels, offsets) == pytest.approx(float(np.mean(expected)), abs=1e-5)
    assert ndcg(labels, labels, offsets) == pytest.approx(1.0)
