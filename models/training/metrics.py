"""Ranking quality of scored lists, vectorised over padded lists (B, M)."""

import numpy as np
from numpy.typing import NDArray

from models.padding import mask_of, to_lists

TOP = 10
RELEVANT = 0.5
"""Labels from here on count as the hit that MRR looks for."""


def ndcg(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Give the mean NDCG@10 (Järvelin and Kekäläinen 2002) with linear gain; lists without gain are left out.

    scores, labels: (N,), lists cut by offsets (B + 1,). NaN when no list has gain.
    """
    present = mask_of(offsets)
    gains = to_lists(labels, offsets)
    discounts = 1.0 / np.log2(np.arange(2, 2 + min(TOP, gains.shape[1])))
    ideal = _top_gains(gains, gains, present) @ discounts
    got = _top_gains(gains, to_lists(scores, offsets), present) @ discounts
    counted = ideal > 0
    return float(np.mean(got[counted] / ideal[counted])) if counted.any() else float("nan")


def mrr(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> float:
    """Give the mean reciprocal rank of each list's first candidate whose label is at least RELEVANT.

    Lists without one are left out; NaN when there is none with one.
    """
    order = _order(to_lists(scores, offsets), mask_of(offsets))
    hits = np.take_along_axis(to_lists(labels, offsets) >= RELEVANT, order, axis=1)
    counted = hits.any(axis=1)
    ranks = hits[counted].argmax(axis=1) + 1
    return float(np.mean(1.0 / ranks)) if counted.any() else float("nan")


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
