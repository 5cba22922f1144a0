"""The order in which a full queue drops work: the least urgent first."""

import heapq
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """An entry of the queue, with the deadline by which it is queued; ``queued`` turns False when it leaves."""

    priority: int
    candidate_count: int
    due_s: float
    queued: bool


Entry = TypeVar("Entry", bound=Queued)


class LeastUrgent(Generic[Entry]):
    """A heap with the lowest priority, latest deadline and last arrival on top. Entries that left are skipped."""

    def __init__(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """Build the heap from entries and their sequences, which count the arrivals."""
        self._heap = [(e.priority, -e.due_s, -sequence, e) for sequence, e in entries if e.queued]
        heapq.heapify(self._heap)

    def add(self, sequence: int, entry: Entry) -> None:
        """Add a new entry."""
        heapq.heappush(self._heap, (entry.priority, -entry.due_s, -sequence, entry))

    def pop(self, candidates: int) -> list[Entry]:
        """Remove the least urgent entries that still wait, until they have so many candidates together."""
        popped: list[Entry] = []
        while candidates > 0 and self._heap:
            entry = heapq.heappop(self._heap)[3]
            if entry.queued:
                popped.append(entry)
                candidates -= entry.candidate_count
        return popped

    def is_stale(self, waiting: int) -> bool:
        """Return whether most of its entries have left; ``waiting`` is the number of requests in the queue."""
        return len(self._heap) > 2 * waiting + 64
