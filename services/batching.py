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

Payload = TypeVar("Payload")


class BatchingConfig(BaseModel):
    """Limits of one unit's queue and batches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_candidates: int = Field(default=512, ge=1, le=1_000_000, description="candidates a batch")
    max_waiting_candidates: int = Field(default=65_536, ge=1, description="past it, requests get 429")


@dataclass(slots=True, eq=False)
class Work(Generic[Payload]):
    """One entry of the queue: a request, or at a ranker unit a call of several.

    deadline_s: on the clock that ``take`` is given. is_abandoned: asked when a batch is formed, whether
    the client has gone; it must not raise. queued: the batcher's own note, True while it waits there.
    """

    payload: Payload
    candidate_count: int
    request_count: int
    deadline_s: float
    priority: int
    release: str
    arrived_s: float
    is_abandoned: Callable[[], bool] | None = None
    queued: bool = field(default=False, init=False)


@dataclass(frozen=True, slots=True)
class Taken(Generic[Payload]):
    """What ``take`` gives: a batch of one release, and what is not worth serving: too late, or abandoned."""

    batch: list[Work[Payload]]
    late: list[Work[Payload]]


_Entry = tuple[int, float, int, Work[Payload]]


@dataclass(slots=True)
class _Backlog:
    """What waits of one priority; latest_s: the latest deadline since nothing did."""

    candidates: int = 0
    requests: int = 0
    latest_s: float = 0.0


class Batcher(Generic[Payload]):
    """A priority queue of work, by release. Not thread-safe: its runner holds the lock."""

    def __init__(self, config: BatchingConfig) -> None:
        """Start empty."""
        self._config = config
        self._heaps: dict[str, list[_Entry[Payload]]] = {}
        self._sequence = itertools.count()
        self._backlogs: dict[int, _Backlog] = {}
        self.waiting_candidates = 0
        self.waiting_requests = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self.waiting_requests > 0

    def offer(self, work: Work[Payload]) -> list[Work[Payload]]:
        """Enqueue; give the work of lower priority that had to make room.

        Raises:
            QueueFull: the limit of waiting candidates is reached (an empty queue takes any one request), and what
                waits of lower priority is not enough to make room.
        """
        displaced = self._room_for(work)
        urgency = (-work.priority, work.deadline_s)
        heapq.heappush(self._heaps.setdefault(work.release, []), (*urgency, next(self._sequence), work))
        work.queued = True
        backlog = self._backlogs.setdefault(work.priority, _Backlog())
        backlog.candidates += work.candidate_count
        backlog.requests += work.request_count
        backlog.latest_s = max(backlog.latest_s, work.deadline_s)
        self.waiting_candidates += work.candidate_count
        self.waiting_requests += work.request_count
        return displaced

    def _room_for(self, work: Work[Payload]) -> list[Work[Payload]]:
        limit = self._config.max_waiting_candidates
        excess = self.waiting_candidates + work.candidate_count - limit
        if not self.waiting_requests or excess <= 0:
            return []
        lower = sum(b.candidates for priority, b in self._backlogs.items() if priority < work.priority)
        if lower < excess:
            raise QueueFull(
                f"{self.waiting_candidates} candidates wait already, the limit is {limit}: send again later, "
                f"or raise batching.max_waiting_candidates",
                retry_after_s=1,
            )
        waiting = (entry for heap in self._heaps.values() for entry in heap if entry[3].queued)
        displaced: list[Work[Payload]] = []
        for entry in sorted(waiting, key=lambda entry: entry[:3], reverse=True):
            if excess <= 0:
                break
            displaced.append(entry[3])
            excess -= entry[3].candidate_count
            self._leave(entry[3])
        return displaced

    def cancel(self, work: Work[Payload]) -> None:
        """Forget work that still waits; work already in a batch keeps its place there."""
        if work.queued:
            self._leave(work)

    def batches_ahead(self, priority: int, deadline_s: float) -> int:
        """Give how many full batches will certainly go before work of this urgency, were it offered now.

        What is of its own priority is certain only while it would stand behind all of that.
        """
        if not self.waiting_requests:
            return 0
        ahead = sum(
            backlog.candidates
            for other, backlog in tuple(self._backlogs.items())  # asked without the lock, too
            if other > priority or (other == priority and backlog.latest_s <= deadline_s)
        )
        return ahead // self._config.max_candidates

    def backlog(self, priority: int) -> tuple[int, float]:
        """Give the candidates that wait with this priority or a higher one, and the latest deadline among them."""
        at_least = [backlog for other, backlog in self._backlogs.items() if other >= priority]
        return sum(b.candidates for b in at_least), max((b.latest_s for b in at_least), default=0.0)

    def take(
        self, now_s: float, expected_service_s: float = 0.0, *, release: str | None = None
    ) -> Taken[Payload]:
        """Form the next batch, of ``release`` or of the most urgent; it may be empty though something was late.

        An expectation is not a fact: when nothing would make its deadline by it, the most urgent work with
        time left goes all the same, or an expectation gone wrong would never be put right.
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
        backlog = self._backlogs[work.priority]
        backlog.candidates -= work.candidate_count
        backlog.requests -= work.request_count
        if not backlog.requests:
            del self._backlogs[work.priority]
        self.waiting_candidates -= work.candidate_count
        self.waiting_requests -= work.request_count
