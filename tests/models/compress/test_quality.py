"""Qualities and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.compress import quality
from models.compress.quality import Labels, Scores, quality_of
from models.compress.recipe import Metric
from models.errors import CompressionError
from models.training.metrics import ndcg


def lists(count: int, seed: int) -> tuple[Labels, Scores]:
    random = np.random.default_rng(seed)
    offsets = np.arange(0, 6 * count + 1, 6)
    labels = (random.random(6 * count) < 0.3).astype(np.float32)
    labels[:2] = [1.0, 0.0]
    scores = (labels + random.normal(size=6 * count).round(1)).astype(np.float32)
    return Labels(labels, offsets), scores


@given(st.integers(2, 20), st.integers(0, 50))
def test_values_are_those_of_plain_definitions(count: int, seed: int) -> None:
    each, scores = lists(count, seed)
    found = quality_of(scores, each, "ndcg_at_10")
    assert found is not None
    assert found.value == pytest.approx(ndcg(scores, each.labels, each.offsets))
    chosen, others = scores[each.labels > 0], scores[each.labels == 0]
    pairs = (chosen[:, None] > others).mean() + 0.5 * (chosen[:, None] == others).mean()
    area = quality_of(scores, each, "auc")
    assert area is not None
    assert area.value == pytest.approx(float(pairs))


@given(st.integers(2, 20), st.integers(0, 50))
def test_areas_of_resamples_are_those_of_repeated_lists(count: int, seed: int) -> None:
    each, scores = lists(count, seed)
    drawn = np.random.default_rng(seed).integers(0, 3, (4, count))
    drawn[:, 0] = 1  # this list has labels of both kinds
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quality, "_resamples", lambda _: iter([drawn.astype(np.float64)]))
        found = quality_of(scores, each, "auc")
    assert found is not None
    for counts, area in zip(drawn, found.resampled, strict=True):
        chosen = np.repeat(np.arange(len(scores)), np.repeat(counts, np.diff(each.offsets)))
        assert area == pytest.approx(roc_auc_score(each.labels[chosen], scores[chosen]))


@pytest.mark.parametrize("metric", ["ndcg_at_10", "auc"])
def test_interval_shrinks_with_more_lists_and_a_model_does_not_differ_from_itself(metric: Metric) -> None:
    widths = []
    for count in (50, 800):
        each, scores = lists(count, 1)
        found = quality_of(scores, each, metric)
        assert found is not None
        interval = found.interval()
        assert interval.low < interval.value < interval.high
        widths.append(interval.high - interval.low)
        same = found.change_of(found)
        assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert widths[1] < 0.5 * widths[0]


@pytest.mark.parametrize("metric", ["ndcg_at_10", "auc"])
def test_lists_of_one_user_count_as_one_observation(metric: Metric) -> None:
    each, scores = lists(100, 1)
    copies = 8
    repeated = Labels(np.tile(each.labels, copies), np.arange(0, 6 * 100 * copies + 1, 6))
    users = np.tile(np.arange(100) * 7, copies)
    many = np.tile(scores, copies)
    one, over_users, over_lists = (
        quality_of(scores, each, metric),
        quality_of(many, Labels(repeated.labels, repeated.offsets, users), metric),
        quality_of(many, repeated, metric),
    )
    assert one is not None
    assert over_users is not None
    assert over_lists is not None
    assert over_users.resampled == pytest.approx(one.resampled)
    widths = [each.interval().high - each.interval().low for each in (over_users, over_lists)]
    assert widths[1] < 0.6 * widths[0]


def test_paired_interval_of_a_small_change_is_narrower_than_the_qualities_themselves() -> None:
    each, scores = lists(400, 2)
    other = scores + 0.02 * np.random.default_rng(3).normal(size=len(scores)).astype(np.float32)
    one, two = quality_of(scores, each, "ndcg_at_10"), quality_of(other, each, "ndcg_at_10")
    assert one is not None
    assert two is not None
    change, alone = two.change_of(one), one.interval()
    assert change.high - change.low < 0.5 * (alone.high - alone.low) / alone.value


def test_resamples_in_which_the_other_quality_is_zero_are_left_out() -> None:
    each = Labels(np.tile(np.array([1, *[0] * 11], dtype=np.float32), 4), np.arange(0, 49, 12))
    worst = np.tile(np.array([-1, *range(11)], dtype=np.float32), 4)
    one_right = worst.copy()
    one_right[0] = 20
    bad, better = quality_of(worst, each, "ndcg_at_10"), quality_of(one_right, each, "ndcg_at_10")
    assert bad is not None
    assert better is not None
    assert (bad.value, better.value) == (0.0, 0.25)
    change = bad.change_of(better)
    assert (change.value, change.low, change.high) == (-1.0, -1.0, -1.0)


def test_scores_that_are_not_numbers_have_no_quality() -> None:
    each, scores = lists(4, 0)
    scores[3] = np.nan
    assert quality_of(scores, each, "ndcg_at_10") is None


def test_labels_that_decide_nothing_are_refused() -> None:
    each, scores = lists(4, 0)
    with pytest.raises(CompressionError, match="got 0 of 24 labels above 0; add lists"):
        quality_of(scores, Labels(np.zeros_like(each.labels), each.offsets), "ndcg_at_10")
