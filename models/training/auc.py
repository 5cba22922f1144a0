"""The area under the ROC curve, with bootstrap intervals.

It is the probability that a clicked row scores above a row that was not clicked, and an equal score counts half.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
"""Number of bootstrap draws."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95% bootstrap interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: NDArray[np.float64]) -> Self:
        """Return the interval of a value from its bootstrap draws."""
        low, high = np.quantile(draws, [0.025, 0.975])
        return cls(value, float(low), float(high))


class Ranked:
    """Scores in ascending order with their labels, from which the AUC of any resampling is computed without sorting."""

    def __init__(self, scores: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Sort the scores.

        Args:
            scores: (N,).
            labels: (N,), above 0 for a click.
        """
        order = np.argsort(scores, kind="stable")
        ordered = scores[order]
        self._order = order
        self._clicked = labels[order] > 0
        # The first row of each run of equal scores.
        self._runs = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(scores) else order

    def auc(self, counts: NDArray[np.int64] | None = None) -> float:
        """Return the AUC, or NaN without a click or without any other row.

        Args:
            counts: (N,), how often each row counts. None: once.
        """
        weights = np.ones(len(self._order)) if counts is None else counts[self._order].astype(np.float64)
        clicks, others = (
            np.add.reduceat(np.where(chosen, weights, 0.0), self._runs) if len(weights) else weights
            for chosen in (self._clicked, ~self._clicked)
        )
        pairs = clicks.sum() * others.sum()
        below = np.cumsum(others) - others / 2
        return float((clicks * below).sum() / pairs) if pairs else float("nan")


def auc(scores: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Return the AUC of scores (N,) for labels (N,), or NaN if all labels are equal."""
    return Ranked(scores, labels).auc()


def auc_interval(
    scores: NDArray[np.float32], labels: NDArray[np.float32], *, draws: int = DRAWS, seed: int = 1
) -> Interval:
    """Return the AUC with its interval from resampled rows."""
    ranked = Ranked(scores, labels)
    drawn = [ranked.auc(counts) for counts in _resampled(len(scores), draws, seed)]
    return Interval.of(ranked.auc(), np.array(drawn))


def auc_change(
    scores: NDArray[np.float32],
    before: NDArray[np.float32],
    labels: NDArray[np.float32],
    *,
    draws: int = DRAWS,
    seed: int = 1,
) -> Interval:
    """Return the relative change of the AUC, with both models on the same resampled rows.

    Args:
        scores: scores (N,) of the changed model.
        before: scores (N,) of the model that it is compared with.
        labels: (N,).
        draws: number of bootstrap draws.
        seed: the seed of the draws.
    """
    new, old = Ranked(scores, labels), Ranked(before, labels)

    def change(counts: NDArray[np.int64] | None = None) -> float:
        return new.auc(counts) / old.auc(counts) - 1

    return Interval.of(change(), np.array([change(c) for c in _resampled(len(labels), draws, seed)]))


def _resampled(rows: int, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield how often each row is drawn, in samples of as many rows."""
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.bincount(random.integers(0, rows, rows), minlength=rows)
