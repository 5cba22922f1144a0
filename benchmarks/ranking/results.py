"""Ranking metrics per list, and their means with confidence intervals over users."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ragged import RaggedBatch
from models.training.metrics import list_ndcg, list_recall, list_reciprocal_rank

Metric = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]], NDArray[np.float64]]
Labelled = tuple[RaggedBatch, NDArray[np.float32]]
Ranking = Callable[[RaggedBatch], NDArray[np.float32]]
"""Returns the scores (N,) for a batch's candidates."""

METRICS: dict[str, Metric] = {
    "ndcg_at_10": list_ndcg,
    "recall_at_10": list_recall,
    "mrr": list_reciprocal_rank,
}
RESAMPLES = 2000
PER_LIST = dict[str, NDArray[np.float64]]


def measure(scores: NDArray[np.float32], labels: NDArray[np.float32], offsets: NDArray[np.int64]) -> PER_LIST:
    """Return every metric for every list, (B,) each. NaN for a list without a relevant item."""
    return {name: metric(scores, labels, offsets) for name, metric in METRICS.items()}


def measured(parts: Sequence[PER_LIST]) -> PER_LIST:
    """Concatenate the metrics from several blocks of lists."""
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


@dataclass(frozen=True)
class Interval:
    """A mean over lists with its 95% interval."""

    mean: float
    low: float
    high: float


class UserBootstrap:
    """Draws users with replacement. All methods use the same draws, so their differences are paired."""

    def __init__(self, users: NDArray[np.int64], *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        """Draw every resample's users.

        Args:
            users: int64 (B,), each list's user.
            resamples: resample count.
            seed: random seed.
        """
        _, self._user = np.unique(users, return_inverse=True)
        count = int(self._user.max(initial=-1)) + 1
        random = np.random.default_rng(seed)
        self._weights = random.multinomial(count, np.full(count, 1.0 / count), size=resamples).astype(
            np.float32
        )

    def interval(self, values: NDArray[np.float64]) -> Interval:
        """Return the mean over per-list values (B,) and its percentile interval. Lists with NaN are skipped."""
        means = self._means(values)
        low, high = np.nanpercentile(means, [2.5, 97.5])
        return Interval(float(np.nanmean(values)), float(low), float(high))

    def difference(self, values: NDArray[np.float64], other_values: NDArray[np.float64]) -> Interval:
        """Return the mean of `values - other_values`, with its interval."""
        return self.interval(values - other_values)

    def _means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        is_known = np.isfinite(values)
        users = self._weights.shape[1]
        sums = np.bincount(self._user[is_known], values[is_known], users)
        counts = np.bincount(self._user[is_known], minlength=users).astype(np.float64)
        total = self._weights @ counts
        return np.asarray(
            np.divide(self._weights @ sums, total, out=np.full(len(total), np.nan), where=total > 0)
        )


def table_of(
    methods: Mapping[str, PER_LIST], users: NDArray[np.int64], *, ours: str, metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """Return one row per method: each metric's interval, and the interval of our metric minus the method's."""
    bootstrap = UserBootstrap(users)
    rows = []
    for name, values in methods.items():
        row: dict[str, Any] = {"method": name}
        for metric in metrics:
            row[metric] = vars(bootstrap.interval(values[metric]))
            if name != ours:
                gap = bootstrap.difference(methods[ours][metric], values[metric])
                row[f"{metric}_of_ours_less_it"] = vars(gap)
        rows.append(row)
    return rows
