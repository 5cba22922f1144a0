"""The batcher: waiting requests become ragged batches, counted in candidates.

Higher priority first, then the earliest deadline, then the first come. A batch holds one release and
at most ``max_candidates`` (a single larger request goes alone). What can no longer make its deadline is
handed back instead of being served. Time is an argument: the batcher knows no clock and no thread.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from services.errors import QueueFull
from services.scheduling.due import DueCandidates
from services.scheduling.eviction import LeastUrgent

Payload = TypeVar("Payload")


class BatchingConfig(BaseModel):
    """Limits of one unit's queue and batches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_candidates: int = Field(default=512, ge=1, le=1_000_000, description="candidates a batch")
    max_waiting_candidates: int = Field(default=65_536, ge=1, description="past it, requests get 429")


@dataclass(slots=True, eq=False)
class Work(Generic[Payload]):
    """One entry of the queue: a request, or at a ranker unit a call of several.

    deadline_s: when it is worthless, on the clock that ``take`` is given. urgent_s: the deadline by which it is queued,
    if that is another. is_abandoned: asked when a batch is formed, whether the client has gone; it must not raise.
    queued: the batcher's own note, True while it waits there.
    """

    payload: Payload
    candidate_count: int
    request_count: int
    deadline_s: float
    priority: int
    release: str
    arrived_s: float
    is_abandoned: Callable[[], bool] | None = None
    urgent_s: float | None = None
    queued: bool = field(default=False, init=False)
    due_s: float = field(init=False)
    """The deadline by which it is queued."""

    def __post_init__(self) -> None:
        """Choose the deadline by which it is queued."""
        self.due_s = self.deadline_s if self.urgent_s is None else self.urgent_s


@dataclass(frozen=True, slots=True)
class Taken(Generic[Payload]):
    """What ``take`` gives: a batch of one release, and what is not worth serving: too late, or abandoned."""

    batch: list[Work[Payload]]
    late: list[Work[Payload]]


_Entry = tuple[int, float, int, Work[Payload]]


class Batcher(Generic[Payload]):
    """A priority queue of work, by release. Not thread-safe: its runner holds the lock."""

    def __init__(self, config: BatchingConfig) -> None:
        """Start empty."""
        self._config = config
        self._heaps: dict[str, list[_Entry[Payload]]] = {}
        self._sequence = itertools.count()
        self._due: dict[int, DueCandidates] = {}
        """By priority."""
        self._least_urgent: LeastUrgent[Work[Payload]] | None = None
        """Only after the queue was full: most queues never are."""
        self.waiting_candidates = 0
        self.waiting_requests = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self.waiting_requests > 0

    def offer(self, work: Work[Payload]) -> list[Work[Payload]]:
        """Enqueue the work; return the less urgent work that had to make room.

        Raises:
            QueueFull: the limit of waiting candidates is reached (an empty queue takes any one request), and the less
                urgent work is not enough to make room.
        """
        displaced = self._room_for(work)
        sequence = next(self._sequence)
        urgency = (-work.priority, work.due_s)
        heapq.heappush(self._heaps.setdefault(work.release, []), (*urgency, sequence, work))
        work.queued = True
        if self._least_urgent is not None:
            self._least_urgent.add(sequence, work)
        due = self._due.get(work.priority)
        if due is None:
            due = self._due[work.priority] = DueCandidates()
        due.add(work.due_s, work.candidate_count)
        self.waiting_candidates += work.candidate_count
        self.waiting_requests += work.request_count
        return displaced

    def _room_for(self, work: Work[Payload]) -> list[Work[Payload]]:
        limit = self._config.max_waiting_candidates
        excess = self.waiting_candidates + work.candidate_count - limit
        if not self.waiting_requests or excess <= 0:
            return []
        if self.waiting_candidates - self._due_before(work.priority, work.due_s) < excess:
            raise QueueFull(
                f"{self.waiting_candidates} candidates wait already, the limit is {limit}: send again later, "
                f"or raise batching.max_waiting_candidates",
                retry_after_s=1,
            )
        order = self._least_urgent
        if order is None:
            waiting = ((sequence, each) for heap in self._heaps.values() for _, _, sequence, each in heap)
            order = self._least_urgent = LeastUrgent(waiting)
        displaced: list[Work[Payload]] = []
        while excess > 0 and (least := order.pop()) is not None:
            displaced.append(least)
            excess -= least.candidate_count
            self._leave(least)
        return displaced

    def cancel(self, work: Work[Payload]) -> None:
        """Forget work that still waits; work already in a batch keeps its place there."""
        if work.queued:
            self._leave(work)

    def batches_ahead(self, priority: int, deadline_s: float) -> int:
        """Return how many full batches go before work of this urgency if it is offered now.

        They hold the work of higher priority, and that of the same priority which is due before.
        """
        if self.waiting_candidates < self._config.max_candidates:
            return 0
        return self._due_before(priority, deadline_s) // self._config.max_candidates

    def due_with(self, priority: int, deadline_s: float) -> int:
        """Return the candidates due by ``deadline_s`` that wait with this priority or a higher one."""
        if not self.waiting_requests:
            return 0
        return sum(due.by(deadline_s) for other, due in tuple(self._due.items()) if other >= priority)

    def _due_before(self, priority: int, deadline_s: float) -> int:
        if not self.waiting_requests:
            return 0
        return sum(
            due.total if other > priority else due.by(deadline_s)
            for other, due in tuple(self._due.items())  # admission asks without the lock, too
            if other >= priority
        )

    def take(
        self, now_s: float, expected_service_s: float = 0.0, *, release: str | None = None
    ) -> Taken[Payload]:
        """Form the next batch, of ``release`` or of the most urgent; it may be empty though something was late.

        If nothing is expected to be in time, the most urgent work with time left goes all the same. Otherwise a wrong
        expectation would never be corrected.
        """
        taken: Taken[Payload] = Taken([], [])
        heap = self._most_urgent_heap() if release is None else self._heaps.get(release)
        candidates = 0
        while heap:
            work = heap[0][3]
            if not work.queued:
                heapq.heappop(heap)
                continue
            if work.deadline_s <= now_s + expected_service_s or (work.is_abandoned and work.is_abandoned()):
                taken.late.append(work)
            elif not taken.batch or candidates + work.candidate_count <= self._config.max_candidates:
                taken.batch.append(work)
                candidates += work.candidate_count
            else:
                break
            heapq.heappop(heap)
            self._leave(work)
        if not taken.batch:
            self._try_one(taken, now_s)
        return taken

    def _try_one(self, taken: Taken[Payload], now_s: float) -> None:
        for place, work in enumerate(taken.late):
            if work.deadline_s > now_s and not (work.is_abandoned and work.is_abandoned()):
                taken.batch.append(taken.late.pop(place))
                return

    def _most_urgent_heap(self) -> "list[_Entry[Payload]] | None":
        for release, heap in list(self._heaps.items()):
            while heap and not heap[0][3].queued:
                heapq.heappop(heap)
            if not heap:
                del self._heaps[release]
        return min(self._heaps.values(), key=lambda heap: heap[0][:3], default=None)

    def _leave(self, work: Work[Payload]) -> None:
        work.queued = False
        due = self._due[work.priority]
        due.remove(work.due_s, work.candidate_count)
        if not due.entries:
            del self._due[work.priority]
        self.waiting_candidates -= work.candidate_count
        self.waiting_requests -= work.request_count
        if self._least_urgent is not None and self._least_urgent.is_stale(self.waiting_requests):
            self._least_urgent = None
