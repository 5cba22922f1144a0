"""Ranking quality of scored lists, vectorised over padded lists (B, M)."""

import numpy as np
from numpy.typing import NDArray

from models.padding import mask_of, to_lists

TOP = 10
RELEVANT = 0.5
"""Labels from here on count as the hit that MRR looks for."""


def ndcg(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Give the mean NDCG@10 of the lists that have gain; NaN when none has."""
    return _mean(list_ndcg(scores, labels, offsets))


def mrr(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Give the mean reciprocal rank of the lists that have a hit; NaN when none has."""
    return _mean(list_reciprocal_rank(scores, labels, offsets))


def list_ndcg(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give NDCG@10 (Järvelin and Kekäläinen 2002) with linear gain, (B,); NaN for a list without gain.

    scores, labels: (N,), lists cut by offsets (B + 1,). Equal scores stand in the order given.
    """
    present = mask_of(offsets)
    gains = to_lists(labels, offsets)
    discounts = 1.0 / np.log2(np.arange(2, 2 + min(TOP, gains.shape[1])))
    ideal = _top_gains(gains, gains, present) @ discounts
    got = _top_gains(gains, to_lists(scores, offsets), present) @ discounts
    return np.asarray(np.divide(got, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0))


def list_reciprocal_rank(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give the reciprocal rank of each list's first candidate whose label is at least RELEVANT, NaN without one."""
    order = _order(to_lists(scores, offsets), mask_of(offsets))
    hits = np.take_along_axis(to_lists(labels, offsets) >= RELEVANT, order, axis=1)
    ranks = hits.argmax(axis=1) + 1.0
    return np.where(hits.any(axis=1), 1.0 / ranks, np.nan)


def list_recall(
    scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give the share of each list's candidates of label RELEVANT or more that are in its best 10, NaN without any."""
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
    """Give both by name."""
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
