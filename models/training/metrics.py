"""Ranking quality of scored lists, vectorised over padded lists (B, M).

All functions take scores and labels (N,) of candidates, and offsets (B + 1,) that cut them into lists.
"""

import numpy as np
from numpy.typing import NDArray

from models.padding import mask_of, to_lists

TOP = 10
"""Length of the list head that NDCG and recall look at."""
RELEVANT = 0.5
"""A candidate with a label of at least this value counts as relevant for MRR and recall."""


def ndcg(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Return the mean NDCG@10 of the lists with a label above 0, or NaN if there is none."""
    return _mean(list_ndcg(scores, labels, offsets))


def mrr(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Return the mean reciprocal rank of the lists with a relevant candidate, or NaN if there is none."""
    return _mean(list_reciprocal_rank(scores, labels, offsets))


def list_ndcg(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return NDCG@10 (Järvelin and Kekäläinen 2002) of each list with linear gain, (B,).

    It is NaN for a list without a label above 0. Candidates with equal scores keep their order.
    """
    present = mask_of(offsets)
    gains = to_lists(labels, offsets)
    discounts = 1.0 / np.log2(np.arange(2, 2 + min(TOP, gains.shape[1])))
    ideal = _top_gains(gains, gains, present) @ discounts
    actual = _top_gains(gains, to_lists(scores, offsets), present) @ discounts
    return np.asarray(np.divide(actual, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0))


def list_reciprocal_rank(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the reciprocal rank of the first relevant candidate of each list, (B,). NaN if there is none."""
    order = _order(to_lists(scores, offsets), mask_of(offsets))
    hits = np.take_along_axis(to_lists(labels, offsets) >= RELEVANT, order, axis=1)
    ranks = hits.argmax(axis=1) + 1.0
    return np.where(hits.any(axis=1), 1.0 / ranks, np.nan)


def list_recall(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return recall@10 of each list, (B,): the share of its relevant candidates among its best 10. NaN without any."""
    relevant = to_lists(labels, offsets) >= RELEVANT
    order = _order(to_lists(scores, offsets), mask_of(offsets))[:, :TOP]
    hits = np.take_along_axis(relevant, order, axis=1).sum(axis=1).astype(np.float64)
    total = relevant.sum(axis=1)
    return np.asarray(np.divide(hits, total, out=np.full(len(total), np.nan), where=total > 0))


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def quality(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64], prefix: str = ""
) -> dict[str, float]:
    """Return the mean NDCG@10 and the mean reciprocal rank by name. ``prefix`` starts both names."""
    return {
        f"{prefix}ndcg_at_10": ndcg(scores, labels, offsets),
        f"{prefix}mrr": mrr(scores, labels, offsets),
    }


def _order(scores: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.argsort(np.where(present, -scores, np.inf), axis=1, kind="stable")


def _top_gains(
    gains: NDArray[np.float32], scores: NDArray[np.float32], present: NDArray[np.bool_]
) -> NDArray[np.float32]:
    return np.asarray(np.take_along_axis(gains, _order(scores, present)[:, :TOP], axis=1))
