"""The order in which a full queue drops work: the least urgent work first."""

import heapq
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """A queue entry.

    Attributes:
        priority: higher is more urgent.
        due_s: the deadline that decides the entry's place in the queue.
        queued: whether the entry is still in the queue.
    """

    priority: int
    candidate_count: int
    due_s: float
    queued: bool


Entry = TypeVar("Entry", bound=Queued)


class LeastUrgent(Generic[Entry]):
    """A heap with the lowest priority, latest deadline and last arrival on top.

    ``pop`` skips entries that have left the queue.
    """

    def __init__(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """Build the heap. Each entry comes with its arrival number."""
        self._heap = [(e.priority, -e.due_s, -sequence, e) for sequence, e in entries if e.queued]
        heapq.heapify(self._heap)

    def add(self, sequence: int, entry: Entry) -> None:
        """Add a new entry."""
        heapq.heappush(self._heap, (entry.priority, -entry.due_s, -sequence, entry))

    def pop(self, candidates: int) -> list[Entry]:
        """Remove and return the least urgent waiting entries, enough for at least ``candidates`` candidates."""
        popped: list[Entry] = []
        while candidates > 0 and self._heap:
            entry = heapq.heappop(self._heap)[3]
            if entry.queued:
                popped.append(entry)
                candidates -= entry.candidate_count
        return popped

    def is_stale(self, waiting: int) -> bool:
        """Return whether most of the heap's entries have left the queue. ``waiting`` is the length of the queue."""
        return len(self._heap) > 2 * waiting + 64
