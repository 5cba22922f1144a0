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
    the client has gone.
    """

    payload: Payload
    candidate_count: int
    request_count: int
    deadline_s: float
    priority: int
    release: str
    arrived_s: float
    is_abandoned: Callable[[], bool] | None = None
    cancelled: bool = False
    queued: bool = field(default=False, init=False)


@dataclass(frozen=True, slots=True)
class Taken(Generic[Payload]):
    """What ``take`` gives: a batch of one release, and what was too late for one."""

    batch: list[Work[Payload]]
    late: list[Work[Payload]]


class Batcher(Generic[Payload]):
    """A priority queue of work, by release. Not thread-safe: its runner holds the lock."""

    def __init__(self, config: BatchingConfig) -> None:
        """Start empty."""
        self._config = config
        self._heaps: dict[str, list[tuple[int, float, int, Work[Payload]]]] = {}
        self._sequence = itertools.count()
        self.waiting_candidates = 0
        self.waiting_requests = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self.waiting_requests > 0

    def offer(self, work: Work[Payload]) -> None:
        """Enqueue.

        Raises:
            QueueFull: the limit of waiting candidates is reached (an empty queue takes any one request).
        """
        limit = self._config.max_waiting_candidates
        if self.waiting_requests and self.waiting_candidates + work.candidate_count > limit:
            raise QueueFull(
                f"{self.waiting_candidates} candidates wait already, the limit is {limit}: send again later, "
                f"or raise batching.max_waiting_candidates",
                retry_after_s=1,
            )
        entry = (-work.priority, work.deadline_s, next(self._sequence), work)
        heapq.heappush(self._heaps.setdefault(work.release, []), entry)
        work.queued = True
        self.waiting_candidates += work.candidate_count
        self.waiting_requests += work.request_count

    def cancel(self, work: Work[Payload]) -> None:
        """Forget work that still waits; work already in a batch keeps its place there."""
        work.cancelled = True
        if work.queued:
            self._leave(work)

    def take(self, now_s: float, expected_service_s: float = 0.0) -> Taken[Payload]:
        """Form the next batch; it may be empty though something was late."""
        taken: Taken[Payload] = Taken([], [])
        candidates = 0
        heap = self._most_urgent_heap()
        while heap:
            work = heap[0][3]
            if work.queued and work.is_abandoned is not None and work.is_abandoned():
                self.cancel(work)
            if not work.queued:
                heapq.heappop(heap)
                continue
            if work.deadline_s <= now_s + expected_service_s:
                taken.late.append(work)
            elif not taken.batch or candidates + work.candidate_count <= self._config.max_candidates:
                taken.batch.append(work)
                candidates += work.candidate_count
            else:
                break
            heapq.heappop(heap)
            self._leave(work)
        return taken

    def _most_urgent_heap(self) -> list[tuple[int, float, int, Work[Payload]]] | None:
        for release in [name for name, heap in self._heaps.items() if not heap]:
            del self._heaps[release]
        return min(self._heaps.values(), key=lambda heap: heap[0][:3], default=None)

    def _leave(self, work: Work[Payload]) -> None:
        work.queued = False
        self.waiting_candidates -= work.candidate_count
        self.waiting_requests -= work.request_count
