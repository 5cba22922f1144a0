"""The log of simulated behaviour: the shown lists, and the events that followed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ragged import gather_positions, offsets_of


@dataclass(frozen=True)
class Events:
    """M events of one type, ordered by user and then by time."""

    user: NDArray[np.int64]
    at_s: NDArray[np.float64]  # epoch seconds
    row: NDArray[np.int64]  # route number
    rating: NDArray[np.float32]  # 0 to 1. Always 0 for event types without a rating

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Log:
    """Q shown lists laid end to end (N candidates), and the events that followed."""

    offsets: NDArray[np.int64]  # (Q + 1,)
    rows: NDArray[np.int64]  # (N,) route numbers, ascending within a list, so that the order reveals nothing
    labels: NDArray[np.float32]  # (N,) relevance 0 to 1
    position: NDArray[np.int16]  # (N,) position in the shown list
    oracle: NDArray[np.float32]  # (N,) rating that the simulation expects without noise
    shown: Events  # the top of each list, at its time
    opened: Events  # some seconds later, from the top down
    rated: Events  # a walk is rated when it ends, an opened route one second after it is opened


@dataclass(frozen=True)
class Round:
    """The log for some visits, with `count` candidates each."""

    visit: NDArray[np.int64]
    count: NDArray[np.int64]
    rows: NDArray[np.int64]
    labels: NDArray[np.float32]
    position: NDArray[np.int16]
    oracle: NDArray[np.float32]
    events: tuple[Events, Events, Events]  # shown, opened, rated


def in_order(rounds: Sequence[Round], visits: int) -> Log:
    """Join rounds: lists in the order of the visits, events by user and then by time."""
    count = np.concatenate([r.count for r in rounds])
    position = np.empty(visits, dtype=np.int64)
    position[np.concatenate([r.visit for r in rounds])] = np.arange(visits)
    entries, offsets = gather_positions(offsets_of(count), position)
    shown, opened, rated = (_joined([r.events[kind] for r in rounds]) for kind in range(3))
    return Log(
        offsets=offsets,
        rows=np.concatenate([r.rows for r in rounds])[entries],
        labels=np.concatenate([r.labels for r in rounds])[entries],
        position=np.concatenate([r.position for r in rounds])[entries],
        oracle=np.concatenate([r.oracle for r in rounds])[entries],
        shown=shown,
        opened=opened,
        rated=rated,
    )


def _joined(parts: Sequence[Events]) -> Events:
    """Return all events by user and then by time. A user's events at the same time keep their order."""
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])]
    order = np.lexsort((columns[1], columns[0]))
    return Events(*(column[order] for column in columns))
