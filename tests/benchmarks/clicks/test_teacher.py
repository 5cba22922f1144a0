"""Generated clicks are the same from anywhere, and their labels follow the hidden probabilities."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.clicks.teacher import CHUNK, Teacher
from models.architectures.options import DlrmOptions

SMALL = DlrmOptions(dense=3, fields=5, rows=1000, width=4)


def test_rows_do_not_depend_on_where_reading_starts() -> None:
    teacher = Teacher(SMALL, seed=3)
    all_rows, later = teacher.draw(CHUNK + 60), teacher.draw(50, first=CHUNK)
    for name in ("dense", "sparse", "labels", "chances"):
        np.testing.assert_array_equal(getattr(all_rows, name)[CHUNK : CHUNK + 50], getattr(later, name))


def test_rows_start_at_whole_chunks() -> None:
    with pytest.raises(ValueError, match="first: must be a multiple of"):
        next(Teacher(SMALL).chunks(10, first=7))


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    one, again, other = (Teacher(SMALL, seed).draw(100) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.sparse, again.sparse)
    np.testing.assert_array_equal(one.labels, again.labels)
    assert (one.sparse != other.sparse).any()


def test_rows_have_the_model_s_shapes_and_numbers_within_their_field() -> None:
    rows = Teacher(SMALL).draw(500)
    assert [rows.dense.shape, rows.sparse.shape] == [(500, 3), (500, 5)]
    assert [str(rows.dense.dtype), str(rows.sparse.dtype)] == ["float32", "int64"]
    assert rows.sparse.min() >= 0
    assert rows.sparse.max() < SMALL.rows


def test_few_values_are_frequent_and_lie_anywhere_in_the_field() -> None:
    counts = np.bincount(Teacher(SMALL).draw(CHUNK).sparse[:, 0], minlength=SMALL.rows)
    frequent = np.argsort(counts)[::-1][:100]
    assert counts[frequent].sum() > 0.4 * CHUNK
    assert 300 < frequent.mean() < 700


def test_labels_are_draws_from_the_hidden_probabilities() -> None:
    rows = Teacher(SMALL).draw(CHUNK)
    for low in (0.1, 0.4, 0.7):
        near = (rows.chances > low) & (rows.chances < low + 0.1)
        assert rows.labels[near].mean() == pytest.approx(rows.chances[near].mean(), abs=0.05)
    assert 0.75 < roc_auc_score(rows.labels, rows.chances) < 0.9
