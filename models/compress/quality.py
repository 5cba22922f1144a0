"""The quality of scored lists, and how sure it is: 95% bootstrap intervals over lists.

Models are compared on the same resamples of the same lists (the paired bootstrap of Efron and Tibshirani 1993), so that
lists that are hard for every model do not widen the interval of a change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.compress.figures import Interval
from models.compress.recipe import Metric
from models.errors import CompressionError
from models.training.auc import Ranked
from models.training.metrics import list_ndcg

RESAMPLES = 1000
_RESAMPLES_AT_ONCE = 50
_BOUNDS = (2.5, 97.5)
NAMES: dict[Metric, str] = {"ndcg_at_10": "NDCG@10", "auc": "AUC"}

Scores = NDArray[np.float32]
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """The labels (N,) of lists with the offsets (B + 1,)."""

    labels: NDArray[np.float32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True)
class Quality:
    """A model's quality: on all lists, and on each resample of them, (RESAMPLES,)."""

    value: float
    resampled: _Values

    def interval(self) -> Interval:
        """Return the quality with its interval."""
        return _interval(self.value, self.resampled)

    def change_of(self, other: "Quality") -> Interval:
        """Return the relative change, compared with another model on the same lists. 0.01 is 1% better.

        Resamples in which the other model's quality is 0 are left out. The other's ``value`` must be above 0.
        """
        is_known = other.resampled > 0
        return _interval(
            self.value / other.value - 1, self.resampled[is_known] / other.resampled[is_known] - 1
        )


def quality_of(scores: Scores, lists: Labels, metric: Metric) -> Quality | None:
    """Return the quality of scores (N,), or None if one of them is NaN or infinite.

    Raises:
        CompressionError: the labels do not decide anything, for example because none is above 0.
    """
    if not np.isfinite(scores).all():
        return None
    chosen = lists.labels > 0
    if not chosen.any() or (metric == "auc" and chosen.all()):
        raise CompressionError(
            f"{NAMES[metric]} needs {'chosen and other' if metric == 'auc' else 'chosen'} items in the second half of "
            f"the validation lists, got {int(chosen.sum())} of {len(chosen)} labels above 0; add lists"
        )
    measure = _Ndcg(scores, lists) if metric == "ndcg_at_10" else _Auc(scores, lists)
    value = float(measure(np.ones((1, len(lists.offsets) - 1)))[0])
    return Quality(value, np.concatenate([measure(counts) for counts in _resamples(len(lists.offsets) - 1)]))


class _Measure(Protocol):
    def __call__(self, counts: _Values, /) -> _Values:
        """Return the quality (R,) if list b counts ``counts[r, b]`` times."""
        ...


class _Ndcg:
    """The mean NDCG@10 of the lists with a label above 0."""

    def __init__(self, scores: Scores, lists: Labels) -> None:
        each = list_ndcg(scores, lists.labels, lists.offsets)
        self._decided = np.isfinite(each)
        self._each = np.where(self._decided, each, 0.0)

    def __call__(self, counts: _Values) -> _Values:
        return np.asarray(counts @ self._each / np.maximum(counts @ self._decided, 1.0))


class _Auc:
    """The share of pairs of a chosen and another item, from any lists, whose order is right. Ties count half."""

    def __init__(self, scores: Scores, lists: Labels) -> None:
        self._ranked = Ranked(scores, lists.labels)
        self._lengths = np.diff(lists.offsets)

    def __call__(self, counts: _Values) -> _Values:
        values = [self._ranked.auc(np.repeat(each, self._lengths)) for each in counts]
        return np.asarray(np.nan_to_num(values, nan=0.0), dtype=np.float64)


def _resamples(lists: int) -> Iterator[_Values]:
    """Yield how often each list counts, (R, B), in all resamples. Each call yields the same numbers."""
    random = np.random.default_rng(0)
    for _ in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):
        yield random.multinomial(lists, np.full(lists, 1 / lists), size=_RESAMPLES_AT_ONCE).astype(np.float64)


def _interval(value: float, resampled: _Values) -> Interval:
    low, high = np.nanpercentile(resampled, _BOUNDS)
    return Interval(value=value, low=float(low), high=float(high))
