"""The order in which a full queue gives work up: the least urgent first."""

import heapq
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """An entry of the queue; ``queued`` turns False when it leaves."""

    priority: int
    queued: bool

    @property
    def due_s(self) -> float:
        """The deadline by which it is queued."""
        ...


Entry = TypeVar("Entry", bound=Queued)


class LeastUrgent(Generic[Entry]):
    """A heap with the lowest priority, latest deadline and last arrival on top. Entries that left are skipped.

    It is built when the queue is full for the first time, and dropped when that is over: most queues never are.
    """

    def __init__(self) -> None:
        """Start without a heap."""
        self._heap: list[tuple[int, float, int, Entry]] | None = None

    def add(self, sequence: int, entry: Entry) -> None:
        """Note a new entry; ``sequence`` counts the arrivals."""
        if self._heap is not None:
            heapq.heappush(self._heap, (entry.priority, -entry.due_s, -sequence, entry))

    def build(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """Build the heap from sequences and entries, unless it is there."""
        if self._heap is None:
            self._heap = [(e.priority, -e.due_s, -sequence, e) for sequence, e in entries if e.queued]
            heapq.heapify(self._heap)

    def pop(self) -> Entry | None:
        """Take the least urgent entry that still waits; None if none does."""
        while self._heap:
            entry = heapq.heappop(self._heap)[3]
            if entry.queued:
                return entry
        return None

    def drop_if_stale(self, waiting: int) -> None:
        """Drop the heap if most of its entries have left; ``waiting`` is how many are in the queue."""
        if self._heap is not None and len(self._heap) > 2 * waiting + 64:
            self._heap = None
