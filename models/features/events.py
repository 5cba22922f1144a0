"""Event tables: what users did, by user and time; the source of event-time aggregates.

Events of one user are in order of (time, sequence). The sequence is the number that the source gives each event;
it orders events of the same time whatever order they arrive in, and one that comes twice is one event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.ragged import offsets_of

AT_S, SEQUENCE = "at_s", "sequence"


@dataclass(frozen=True)
class EventTable:
    """T events of one type, of U users, laid end to end.

    offsets: int64 (U + 1,). fields: (T, ...) each; ``at_s``, float64 epoch seconds, is always there.
    """

    offsets: NDArray[np.int64]
    fields: Mapping[str, NDArray[Any]]

    @property
    def at_s(self) -> NDArray[np.float64]:
        """The events' times (T,)."""
        return self.fields[AT_S]

    def records(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Give the events (T,) as records, such as stored rows hold: ``StoredEvents.types``."""
        records = np.zeros(len(self.at_s), dtype=dtype)
        for name in dtype.names or ():
            records[name] = self.fields[name]
        return records

    @classmethod
    def from_columns(
        cls,
        user: NDArray[np.int64],
        at_s: NDArray[np.float64],
        sequence: NDArray[np.int64],
        fields: Mapping[str, NDArray[Any]],
        users: int,
    ) -> Self:
        """Sort events that come in any order; of those with one user, time and sequence one is kept.

        Raises:
            ValueError: a time is not a number, or a user is not below ``users``.
        """
        if not np.isfinite(at_s).all():
            raise ValueError("at_s: the time of an event is not a finite number; use epoch seconds")
        if len(user) and not 0 <= user.min() <= user.max() < users:
            raise ValueError(
                f"user: the user of an event is outside 0 to {users - 1}; number the users first"
            )
        order = np.lexsort((sequence, at_s, user))
        keys = [column[order] for column in (user, at_s, sequence)]
        repeated = np.zeros(len(order), dtype=np.bool_)
        if len(order) > 1:
            repeated[1:] = np.all([key[1:] == key[:-1] for key in keys], axis=0)
        order = order[~repeated]
        columns = {name: values[order] for name, values in fields.items()}
        counts = np.bincount(user[order], minlength=users)
        return cls(
            offsets_of(counts),
            {AT_S: at_s[order].astype(np.float64), SEQUENCE: sequence[order].astype(np.int64), **columns},
        )


def first_at_or_after(
    at_s: NDArray[np.float64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    moment_s: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Give, for each of Q slices [start, end) of ascending times, where the moment's place is, at most ``end``.

    A bisection of all slices at once; exact, as it compares times alone.
    """
    if len(at_s) == 0:
        return end
    if bool(((start == end) | (at_s[np.maximum(end - 1, 0)] < moment_s)).all()):
        return end  # the present: every event is past
    low, high = start.copy(), end.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        before = open_ & (at_s[np.minimum(middle, len(at_s) - 1)] < moment_s)
        low = np.where(before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low


def inserted(events: NDArray[Any], event: NDArray[Any], capacity: int) -> NDArray[Any]:
    """Give one user's events (n,), structured, with one more, a record (1,); the newest ``capacity`` stay.

    What stays does not depend on the order of arrival.
    """
    at_s, sequence = event[AT_S][0], event[SEQUENCE][0]
    index = int(np.searchsorted(events[AT_S], at_s, side="left"))
    while index < len(events) and events[AT_S][index] == at_s and events[SEQUENCE][index] < sequence:
        index += 1
    if index < len(events) and (events[AT_S][index], events[SEQUENCE][index]) == (at_s, sequence):
        return events
    return np.concatenate([events[:index], event, events[index:]])[-capacity:]
