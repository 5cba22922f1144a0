import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from benchmarks.ranking.results import UserBootstrap, measure, table_of


@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_ndcg_equals_that_of_scikit_learn(length: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.permutation(length).astype(np.float32)  # without ties, which scikit-learn averages
    labels = random.integers(0, 3, length).astype(np.float32) / np.float32(2)
    labels[0] = 1.0
    metrics = measure(scores, labels, np.array([0, length]))
    assert metrics["ndcg_at_10"][0] == pytest.approx(ndcg_score(labels[None], scores[None], k=10), abs=1e-6)


def test_recall_and_reciprocal_rank_match_a_calculation_by_hand() -> None:
    scores = np.arange(12, 0, -1).astype(np.float32)
    labels = np.zeros(12, dtype=np.float32)
    labels[[3, 11]] = 1.0
    metrics = measure(scores, labels, np.array([0, 12]))
    assert metrics["recall_at_10"].tolist() == [0.5]
    assert metrics["mrr"].tolist() == [0.25]


def test_interval_skips_lists_without_a_relevant_item() -> None:
    bootstrap = UserBootstrap(np.array([1, 1, 2, 3]))
    interval = bootstrap.interval(np.array([1.0, np.nan, 0.5, np.nan]))
    assert interval.mean == 0.75
    assert 0.5 <= interval.low <= interval.mean <= interval.high <= 1.0


def test_interval_covers_the_true_mean_in_about_95_percent_of_trials() -> None:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 5)
    hits = 0
    for trial in range(200):
        user_means = random.normal(0.3, 0.1, 40)
        values = user_means[users] + random.normal(0.0, 0.1, 200)
        interval = UserBootstrap(users, resamples=300, seed=trial).interval(values)
        hits += interval.low <= 0.3 <= interval.high
    assert 175 <= hits <= 199


def test_interval_is_wider_if_users_have_several_lists() -> None:
    values = np.repeat(np.random.default_rng(1).random(20), 50)
    by_user = UserBootstrap(np.repeat(np.arange(20), 50)).interval(values)
    by_list = UserBootstrap(np.arange(1000)).interval(values)
    assert by_user.high - by_user.low > 3 * (by_list.high - by_list.low)


def test_constant_advantage_has_a_narrow_interval_even_if_users_differ() -> None:
    users = np.repeat(np.arange(30), 3)
    worse = np.random.default_rng(2).random(90)
    rows = table_of(
        {"a": {"mrr": worse + 0.125}, "b": {"mrr": worse}}, users, ours="a", metrics=("mrr",)
    )  # fmt: skip
    gap = rows[1]["mrr_of_ours_less_it"]
    assert gap["low"] == pytest.approx(0.125) and gap["high"] == pytest.approx(0.125)
    assert "mrr_of_ours_less_it" not in rows[0]
