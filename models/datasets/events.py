"""Event logs: the items that users chose, sorted by user and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.datasets.shown import ShownLists
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
        relevance: float32 (E,), from 0 to 1. None: every event has the relevance 1.
        user_ids: U ids by user number. Empty for logs whose users are not served.
        user_columns: user features that do not change over time, (U, ...) each.
        user_defaults: values for users that have no features, by feature.
        logs: item features of which the model reads the logarithm.
        user_logs: the same for user features.
        position: the item feature with the position.
        item_texts: texts of the items by column, which their details show.
        slots: values of the categories, in the order of their slots.
        shown: lists that users were shown. None: the lists are what users chose.
        popularity: float32 (I,), the order of the items of a log without events.
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
    relevance: NDArray[np.float32] | None = None
    user_ids: Sequence[str] = ()
    user_columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    user_defaults: Mapping[str, float] = field(default_factory=dict)
    logs: Sequence[str] = ()
    user_logs: Sequence[str] = ()
    position: str | None = None
    item_texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    slots: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shown: ShownLists | None = None
    popularity: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.user)

    @property
    def occurrences(self) -> NDArray[np.int32]:
        """How often the event's user had chosen the event's item, up to and with this event, (E,)."""
        return self._choices[0]

    @property
    def next_choice(self) -> NDArray[np.int32]:
        """The next event at which the event's user chose the event's item again, (E,). E if there is none."""
        return self._choices[1]

    @cached_property
    def _choices(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        pairs = self.user * max(1, len(self.item_ids)) + self.item
        order = np.argsort(pairs, kind="stable").astype(np.int32)
        pairs = pairs[order]
        begins = np.flatnonzero(np.diff(pairs, prepend=-1) != 0)
        lengths = np.diff(np.append(begins, len(pairs)))
        count, following = (np.empty(len(pairs), dtype=np.int32) for _ in range(2))
        count[order] = np.arange(len(pairs)) - np.repeat(begins, lengths) + 1
        following[order[:-1]] = np.where(pairs[1:] == pairs[:-1], order[1:], len(pairs))
        following[order[-1:]] = len(pairs)
        return count, following

    @property
    def is_served(self) -> bool:
        """Whether a service can rank for the log's users, because their ids are known, or are not needed yet."""
        return len(self.user_ids) > 0 or not len(self)

    @property
    def until_s(self) -> float:
        """The time of the last event or list, in epoch seconds. 0 for a log without both."""
        times = [self.at_s, *([] if self.shown is None else [self.shown.at_s])]
        return max((float(part.max()) for part in times if len(part)), default=0.0)

    def labels(self, events: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the relevance of some events."""
        return np.ones(len(events), dtype=np.float32) if self.relevance is None else self.relevance[events]

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


def last_moments(log: EventLog) -> Moments:
    """Return a moment for each user at the end of the log, with all events of the user before it."""
    offsets = offsets_of(np.bincount(log.user, minlength=len(log.user_ids)))
    now_s = np.full(len(offsets) - 1, log.until_s)
    return Moments(offsets[1:], offsets[1:], offsets[:-1], np.arange(len(now_s)), now_s)


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
    """Return the global temporal split: the times at which these shares of the lists or events have happened."""
    times = np.sort(log.at_s if log.shown is None else log.shown.at_s)
    last = len(times) - 1
    indices = [min(last, int(len(times) * share)) for share in (train_share, train_share + valid_share)]
    return Cuts(float(times[indices[0]]), float(times[indices[1]]))
