"""Ranking quality of scored lists, vectorised over padded lists (B, M).

All functions take scores (N,), labels (N,), and the offsets (B + 1,) that cut the candidates into lists.
"""

import numpy as np
from numpy.typing import NDArray

from models.padding import mask_of, to_lists

TOP = 10
"""Number of best candidates that NDCG and recall read."""
RELEVANT = 0.5
"""A candidate counts as relevant for MRR and recall if its label is at least this share of the highest label."""


def ndcg(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Return the mean NDCG@10 over lists with a label above 0, or NaN without such lists."""
    return _mean(list_ndcg(scores, labels, offsets))


def mrr(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Return the mean reciprocal rank over lists with a relevant candidate, or NaN without such lists."""
    return _mean(list_reciprocal_rank(scores, labels, offsets))


def list_ndcg(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each list's NDCG@10 (Järvelin and Kekäläinen 2002) with linear gain, (B,).

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
    """Return the reciprocal rank of each list's first relevant candidate, (B,), or NaN if it has none."""
    order = _order(to_lists(scores, offsets), mask_of(offsets))
    hits = np.take_along_axis(to_lists(_relevant(labels), offsets), order, axis=1)
    ranks = hits.argmax(axis=1) + 1.0
    return np.where(hits.any(axis=1), 1.0 / ranks, np.nan)


def list_recall(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each list's recall@10, (B,): the share of relevant candidates in the best 10. NaN if none is relevant."""
    relevant = to_lists(_relevant(labels), offsets)
    order = _order(to_lists(scores, offsets), mask_of(offsets))[:, :TOP]
    hits = np.take_along_axis(relevant, order, axis=1).sum(axis=1).astype(np.float64)
    total = relevant.sum(axis=1)
    return np.asarray(np.divide(hits, total, out=np.full(len(total), np.nan), where=total > 0))


def _relevant(labels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which candidates are relevant. A log may have clicks only, whose relevance is small."""
    highest = float(labels.max(initial=0.0))
    return np.asarray((labels > 0) & (labels >= RELEVANT * min(highest, 1.0)))


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def quality(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64], prefix: str = ""
) -> dict[str, float]:
    """Return the mean NDCG@10 and the mean reciprocal rank by name. Both names begin with ``prefix``."""
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
