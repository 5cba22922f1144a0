"""The quality of scored lists, and how sure it is: 95% bootstrap intervals over users, or over lists.

The lists of one user depend on each other. If the users are known, all lists of a drawn user count together (the
cluster bootstrap). Models are compared on the same resamples of the same lists (the paired bootstrap of Efron and
Tibshirani 1993), so that lists that are hard for every model do not widen the interval of a change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.compress.figures import Interval
from models.compress.recipe import Metric
from models.errors import CompressionError
from models.training.metrics import list_ndcg

RESAMPLES = 1000
_RESAMPLES_AT_ONCE = 50
_BOUNDS = (2.5, 97.5)
NAMES: dict[Metric, str] = {"ndcg_at_10": "NDCG@10", "auc": "AUC"}

Scores = NDArray[np.float32]
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """The labels (N,) of lists with the offsets (B + 1,).

    Attributes:
        users: the number of each list's user, (B,). None if the data do not know it.
    """

    labels: NDArray[np.float32]
    offsets: NDArray[np.int64]
    users: NDArray[np.int64] | None = None

    @property
    def user_count(self) -> int | None:
        """The number of users. None if they are not known."""
        return None if self.users is None else len(np.unique(self.users))

    def groups(self) -> NDArray[np.int64]:
        """Return the number of each list's group, (B,). The lists of a group are drawn together."""
        if self.users is None:
            return np.arange(len(self.offsets) - 1)
        return np.unique(self.users, return_inverse=True)[1].reshape(-1).astype(np.int64)


@dataclass(frozen=True)
class Quality:
    """A model's quality: on all lists, and on each resample, (RESAMPLES,)."""

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
    groups = measure.groups
    value = float(measure(np.ones((1, groups)))[0])
    return Quality(value, np.concatenate([measure(counts) for counts in _resamples(groups)]))


class _Measure(Protocol):
    @property
    def groups(self) -> int:
        """The number of groups."""
        ...

    def __call__(self, counts: _Values, /) -> _Values:
        """Return the quality (R,) if each list of group g counts ``counts[r, g]`` times."""
        ...


class _Ndcg:
    """The mean NDCG@10 of the lists with a label above 0."""

    def __init__(self, scores: Scores, lists: Labels) -> None:
        each, groups = list_ndcg(scores, lists.labels, lists.offsets), lists.groups()
        decided = np.isfinite(each)
        self._decided = np.bincount(groups, decided)
        self._sums = np.bincount(groups, np.where(decided, each, 0.0))
        self.groups = len(self._sums)

    def __call__(self, counts: _Values) -> _Values:
        return np.asarray(counts @ self._sums / np.maximum(counts @ self._decided, 1.0))


class _Auc:
    """The share of pairs of a chosen and another item, from any lists, whose order is right. Ties count half."""

    def __init__(self, scores: Scores, lists: Labels) -> None:
        group_of = np.repeat(lists.groups(), np.diff(lists.offsets))
        self.groups = int(group_of.max()) + 1
        order = np.argsort(scores, kind="stable")
        ordered, chosen = scores[order], lists.labels[order] > 0
        self._chosen, self._others = group_of[order[chosen]], group_of[order[~chosen]]
        # How many of the others have lower scores than each chosen item, and how many have no higher ones.
        self._below = np.searchsorted(ordered[~chosen], ordered[chosen], side="left")
        self._up_to = np.searchsorted(ordered[~chosen], ordered[chosen], side="right")
        # Written again by each resample, because new memory for each one takes longer than the sums.
        self._weights, self._sums = np.zeros(len(self._others)), np.zeros(len(self._others) + 1)

    def __call__(self, counts: _Values) -> _Values:
        return np.array([self._area(each) for each in counts])

    def _area(self, counts: _Values) -> float:
        chosen = counts[self._chosen]
        np.take(counts, self._others, out=self._weights, mode="clip")  # the other modes copy
        sums = np.cumsum(self._weights, out=self._sums[1:])
        pairs = chosen.sum() * sums[-1]
        below = self._sums[self._below] + self._sums[self._up_to]
        return float((chosen * below).sum() / (2 * pairs)) if pairs else 0.0


def _resamples(groups: int) -> Iterator[_Values]:
    """Yield how often each group counts, (R, G), in all resamples. Each call yields the same numbers."""
    random = np.random.default_rng(0)
    row = groups * np.arange(_RESAMPLES_AT_ONCE)[:, None]
    for _ in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):
        drawn = row + random.integers(0, groups, (_RESAMPLES_AT_ONCE, groups))
        counts = np.bincount(drawn.ravel(), minlength=_RESAMPLES_AT_ONCE * groups)
        yield counts.reshape(_RESAMPLES_AT_ONCE, groups).astype(np.float64)


def _interval(value: float, resampled: _Values) -> Interval:
    low, high = np.nanpercentile(resampled, _BOUNDS)
    return Interval(value=value, low=float(low), high=float(high))
