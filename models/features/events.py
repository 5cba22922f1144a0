"""Event tables: user actions, sorted by user and time.

Event-time aggregates read these tables. A user's events are ordered by (time, sequence). The sequence is a number that
the source of the events assigns. It orders events with equal times, in whatever order they arrive, and identifies an
event that arrives twice.
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
    """T events of one type, laid end to end for U users.

    Attributes:
        offsets: int64 (U + 1,). User i has the events [offsets[i], offsets[i + 1]).
        fields: arrays (T, ...) by name, always with ``at_s``, float64 epoch seconds.
    """

    offsets: NDArray[np.int64]
    fields: Mapping[str, NDArray[Any]]

    @property
    def at_s(self) -> NDArray[np.float64]:
        """Event times (T,), epoch seconds."""
        return self.fields[AT_S]

    def records(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the events (T,) as records, as in stored rows. ``StoredEvents.types`` has the dtypes."""
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
        """Sort events. Only one event is kept for each user, time and sequence.

        Raises:
            ValueError: a time is not finite, or a user is not from 0 to ``users`` - 1.
        """
        if not np.isfinite(at_s).all():
            raise ValueError(
                f"at_s: must be finite, got {at_s[~np.isfinite(at_s)][0]} at index {np.isfinite(at_s).argmin()}; use "
                f"epoch seconds"
            )
        if len(user) and not 0 <= user.min() <= user.max() < users:
            raise ValueError(
                f"user: must be from 0 to {users - 1} for every event, got {user.min()} to {user.max()}; use the "
                f"users' numbers from 0"
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
    """Return the first position at or after ``moment_s`` in Q slices [start, end) of ascending times.

    The result is ``end`` for a slice with only earlier times. All slices are bisected together. The result is exact,
    because times are only compared.
    """
    if len(at_s) == 0:
        return end
    if bool(((start == end) | (at_s[np.maximum(end - 1, 0)] < moment_s)).all()):
        return end  # the usual case in serving: every event is past
    low, high = start.copy(), end.copy()
    while (unfinished := low < high).any():
        middle = (low + high) // 2
        before = unfinished & (at_s[np.minimum(middle, len(at_s) - 1)] < moment_s)
        low = np.where(before, middle + 1, low)
        high = np.where(unfinished & ~before, middle, high)
    return low


def inserted(events: NDArray[Any], event: NDArray[Any], capacity: int) -> NDArray[Any]:
    """Add an event to one user's events, and keep the newest ``capacity`` events.

    The result does not depend on the order of arrival.

    Args:
        events: records (n,), sorted by time and sequence.
        event: record (1,). If it is already in ``events``, it is not added again.
        capacity: maximum number of events.
    """
    at_s, sequence = event[AT_S][0], event[SEQUENCE][0]
    index = int(np.searchsorted(events[AT_S], at_s, side="left"))
    while index < len(events) and events[AT_S][index] == at_s and events[SEQUENCE][index] < sequence:
        index += 1
    if index < len(events) and (events[AT_S][index], events[SEQUENCE][index]) == (at_s, sequence):
        return events
    return np.concatenate([events[:index], event, events[index:]])[-capacity:]
