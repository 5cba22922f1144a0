"""The area under the ROC curve.

It is the probability that a clicked row scores above a row that was not clicked. Equal scores count half.
"""

import numpy as np
from numpy.typing import NDArray


class Ranked:
    """Sorted scores with their labels. The AUC of each resampling of the rows is then computed without sorting."""

    def __init__(self, scores: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Sort the scores.

        Args:
            scores: (N,).
            labels: (N,), above 0 for a click.
        """
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._clicked = labels[self._order] > 0
        # The first row of each run of equal scores.
        self._runs = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])

    def auc(self, counts: NDArray[np.float64] | NDArray[np.int64] | None = None) -> float:
        """Return the AUC, or NaN without a click or without any other row.

        Args:
            counts: (N,), how often each row counts. None: once.
        """
        weights = np.ones(len(self._order)) if counts is None else counts[self._order].astype(np.float64)
        if not len(weights):
            return float("nan")
        clicks, others = (
            np.add.reduceat(np.where(chosen, weights, 0.0), self._runs)
            for chosen in (self._clicked, ~self._clicked)
        )
        pairs = clicks.sum() * others.sum()
        below = np.cumsum(others) - others / 2
        return float((clicks * below).sum() / pairs) if pairs else float("nan")


def auc(scores: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Return the AUC of scores (N,) for labels (N,), or NaN if all labels are equal."""
    return Ranked(scores, labels).auc()
