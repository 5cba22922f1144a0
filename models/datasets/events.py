"""Event logs: who chose which item when, in order of user and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of


@dataclass(frozen=True)
class EventLog:
    """E events of U users on I items, sorted by user, then time, then item.

    user, item: int64 (E,), numbers of users and items. at_s: float64 (E,), epoch seconds.
    value: float32 (E,), what the set says of the event: a rating, a quantity.
    item_ids: I ids. item_columns: what is known of the items whatever the time, (I, ...) each.
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
        """Give the number of events."""
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
        """Sort events that come as ids; users and items are numbered in the order of their ids."""
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
    """The M moments of a log: all that one user chose at one time, together.

    start, end: int64 (M,), their events. first: int64 (M,), the user's first event: [first, start) is the past.
    user: int64 (M,). at_s: float64 (M,).
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    first: NDArray[np.int64]
    user: NDArray[np.int64]
    at_s: NDArray[np.float64]

    def __len__(self) -> int:
        """Give the number of moments."""
        return len(self.start)

    def take(self, which: NDArray[Any]) -> "Moments":
        """Give the moments of an index or mask."""
        return Moments(*(part[which] for part in vars(self).values()))


def moments_of(log: EventLog) -> Moments:
    """Cut a log into its moments, in order of user and time."""
    changes = (np.diff(log.user, prepend=-1) != 0) | (np.diff(log.at_s, prepend=-1.0) != 0)
    start = np.flatnonzero(changes)
    first = offsets_of(np.bincount(log.user))[log.user[start]]
    end = np.append(start[1:], len(log))
    return Moments(start, end, first, log.user[start], log.at_s[start])


@dataclass(frozen=True)
class Cuts:
    """The two moments in time, epoch seconds, at which validation and test begin."""

    valid_s: float
    test_s: float

    def parts(self, at_s: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
        """Tell which of the times belong to train, valid and test: no training time is after a later part's."""
        return {
            "train": at_s < self.valid_s,
            "valid": (at_s >= self.valid_s) & (at_s < self.test_s),
            "test": at_s >= self.test_s,
        }


def cut(log: EventLog, train_share: float, valid_share: float) -> Cuts:
    """Give the global temporal split: the times by which the shares of all events had happened."""
    times = np.sort(log.at_s)
    last = len(times) - 1
    at = [min(last, int(len(times) * share)) for share in (train_share, train_share + valid_share)]
    return Cuts(float(times[at[0]]), float(times[at[1]]))
