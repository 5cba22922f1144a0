"""Event logs: the items that users chose, sorted by user and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of


@dataclass(frozen=True)
class EventLog:
    """E events by U users on I items, sorted by user, then time, then item.

    Attributes:
        user: int64 (E,), user numbers from 0.
        item: int64 (E,), item numbers, which are indices into ``item_ids``.
        at_s: float64 (E,), epoch seconds.
        value: float32 (E,), such as a rating or a quantity.
        item_ids: I ids.
        item_columns: item features that do not change over time, (I, ...) each.
        repeats: whether a user may choose an item again.
    """

    name: str
    user: NDArray[np.int64]
    item: NDArray[np.int64]
    at_s: NDArray[np.float64]
    value: NDArray[np.float32]
    item_ids: Sequence[str]
    item_columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    repeats: bool = False
    licence: str = ""

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.user)

    @classmethod
    def from_ids(
        cls,
        name: str,
        users: Sequence[str],
        items: Sequence[str],
        at_s: Sequence[float],
        values: Sequence[float],
        **others: Any,
    ) -> Self:
        """Build a sorted log from ids. Users and items are numbered in id order."""
        item_ids, item = np.unique(np.asarray(items), return_inverse=True)
        user = np.unique(np.asarray(users), return_inverse=True)[1]
        times = np.asarray(at_s, dtype=np.float64)
        order = np.lexsort((item, times, user))
        return cls(
            name=name,
            user=user[order].astype(np.int64),
            item=item[order].astype(np.int64),
            at_s=times[order],
            value=np.asarray(values, dtype=np.float32)[order],
            item_ids=item_ids.tolist(),
            **others,
        )


@dataclass(frozen=True)
class Moments:
    """A log's M moments. A moment has all events of one user at one time.

    Attributes:
        start: int64 (M,). Moment i has the events [start[i], end[i]).
        end: int64 (M,).
        first: int64 (M,), the user's first event. The events [first, start) are the history.
        user: int64 (M,), user numbers.
        at_s: float64 (M,), epoch seconds.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    first: NDArray[np.int64]
    user: NDArray[np.int64]
    at_s: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of moments."""
        return len(self.start)

    def take(self, selection: NDArray[Any]) -> "Moments":
        """Return the moments that an index or mask selects."""
        return Moments(*(part[selection] for part in vars(self).values()))


def moments_of(log: EventLog) -> Moments:
    """Return a log's moments, sorted by user and time."""
    changes = (np.diff(log.user, prepend=-1) != 0) | (np.diff(log.at_s, prepend=-1.0) != 0)
    start = np.flatnonzero(changes)
    first = offsets_of(np.bincount(log.user))[log.user[start]]
    end = np.append(start[1:], len(log))
    return Moments(start, end, first, log.user[start], log.at_s[start])


@dataclass(frozen=True)
class Cuts:
    """The times, in epoch seconds, at which the validation and test periods begin."""

    valid_s: float
    test_s: float

    def parts(self, at_s: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
        """Return masks of the times in the periods train, valid and test, which follow each other."""
        return {
            "train": at_s < self.valid_s,
            "valid": (at_s >= self.valid_s) & (at_s < self.test_s),
            "test": at_s >= self.test_s,
        }


def cut(log: EventLog, train_share: float, valid_share: float) -> Cuts:
    """Return the global temporal split: the times at which these shares of events have happened."""
    times = np.sort(log.at_s)
    last = len(times) - 1
    indices = [min(last, int(len(times) * share)) for share in (train_share, train_share + valid_share)]
    return Cuts(float(times[indices[0]]), float(times[indices[1]]))
