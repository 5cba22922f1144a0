"""The AUC equals scikit-learn's, with ties and with resampled rows."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from models.training.auc import Ranked, auc

Rows = tuple[NDArray[np.float32], NDArray[np.float32]]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Return scores with ties, and labels of both kinds."""
    pairs = draw(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=0, max_size=40))
    pairs += [(draw(st.integers(-3, 3)), True), (draw(st.integers(-3, 3)), False)]
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores, np.float32), np.array(labels, np.float32)


@given(rows())
def test_equals_scikit_learn_with_equal_scores(given_rows: Rows) -> None:
    scores, labels = given_rows
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


@given(rows(), st.integers(0, 1000))
def test_rows_that_count_several_times_equal_repeated_rows(given_rows: Rows, seed: int) -> None:
    scores, labels = given_rows
    counts = np.random.default_rng(seed).integers(0, 3, len(labels))
    counts[-2:] = 1  # one row of each kind
    repeated = np.repeat(np.arange(len(labels)), counts)
    expected = roc_auc_score(labels[repeated], scores[repeated])
    assert Ranked(scores, labels).auc(counts) == pytest.approx(expected)


def test_is_nan_if_all_labels_are_equal() -> None:
    scores = np.arange(3, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(auc(scores, np.ones(3, np.float32)))
        assert np.isnan(auc(scores[:0], scores[:0]))
