"""The batcher forms batches from waiting requests. Their size is counted in candidates.

Higher priority goes first, then the earlier deadline, then the earlier arrival. A batch has one release and at most
``max_candidates``. A larger request forms a batch of its own. Work that cannot meet its deadline is returned to the
caller, not served. Time is an argument: the batcher has no clock and no thread.
"""

import heapq
import itertools
from dataclasses import dataclass
from typing import Generic

from pydantic import BaseModel, ConfigDict, Field

from services.errors import QueueFull
from services.scheduling.due import DueCandidates
from services.scheduling.eviction import LeastUrgent
from services.scheduling.work import Payload, Work


class BatchingConfig(BaseModel):
    """The limits of a unit's queue and batches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_candidates: int = Field(
        default=512, ge=1, le=1_000_000, description="the most candidates in a batch of several requests"
    )
    max_waiting_candidates: int = Field(
        default=65_536, ge=1, description="the most candidates that may wait in a replica"
    )


@dataclass(frozen=True, slots=True)
class NextBatch(Generic[Payload]):
    """A batch of one release, and the work that is not worth serving because it is late or abandoned."""

    batch: list[Work[Payload]]
    late: list[Work[Payload]]


_Entry = tuple[int, float, int, Work[Payload]]  # negative priority, deadline, and arrival number


class Batcher(Generic[Payload]):
    """A priority queue of work, by release. Not thread-safe: ``WorkQueue`` holds the lock.

    Only ``batches_ahead`` and ``due_with`` may be called without the lock. They may miss a change in progress.
    """

    def __init__(self, config: BatchingConfig) -> None:
        """Start empty."""
        self._config = config
        self._heaps: dict[str, list[_Entry[Payload]]] = {}
        self._sequence = itertools.count()
        self._due = DueCandidates()
        self._least_urgent: LeastUrgent[Work[Payload]] | None = None
        """None unless the queue was full recently, which is rare."""
        self.waiting_candidates = 0
        self.waiting_requests = 0

    def __bool__(self) -> bool:
        """Return whether anything waits."""
        return self.waiting_requests > 0

    def offer(self, work: Work[Payload]) -> list[Work[Payload]]:
        """Enqueue the work. Return the less urgent work that was removed to make room.

        Raises:
            QueueFull: removing all less urgent work would not make enough room. An empty queue accepts any size.
        """
        displaced = self._make_room(work)
        sequence = next(self._sequence)
        heap = self._heaps.setdefault(work.release, [])
        heapq.heappush(heap, (-work.priority, work.due_s, sequence, work))
        work.queued = True
        if self._least_urgent is not None:
            self._least_urgent.add(sequence, work)
        self._due.add(work.priority, work.due_s, work.candidate_count)
        self.waiting_candidates += work.candidate_count
        self.waiting_requests += work.request_count
        return displaced

    def cancel(self, work: Work[Payload]) -> None:
        """Remove work that is still waiting. Work in a batch stays there."""
        if work.queued:
            self._remove(work)

    def batches_ahead(self, priority: int, deadline_s: float) -> int:
        """Count the full batches that would be served before work that is offered now.

        They contain the work with a higher priority, and the work with the same priority and an earlier deadline.
        """
        if self.waiting_candidates < self._config.max_candidates:
            return 0
        return self._due.before(priority, deadline_s) // self._config.max_candidates

    def due_with(self, priority: int, deadline_s: float) -> int:
        """Count the waiting candidates with this or a higher priority that are due by ``deadline_s``."""
        return self._due.at_least(priority, deadline_s) if self.waiting_requests else 0

    def take(
        self, now_s: float, expected_service_s: float = 0.0, *, release: str | None = None
    ) -> NextBatch[Payload]:
        """Form the next batch, for ``release`` or for the release with the most urgent work.

        The batch may be empty while late work is returned. If no work is expected to be in time, the most urgent work
        with time left is served anyway. Otherwise a wrong expectation would never be corrected.

        Args:
            now_s: the present time.
            expected_service_s: work with less time left than this is late.
            release: the batch's release. Default: the release with the most urgent work.

        Returns:
            The batch, and the work that is not worth serving.
        """
        result: NextBatch[Payload] = NextBatch([], [])
        heap = self._most_urgent_heap() if release is None else self._heaps.get(release)
        candidates = 0
        while heap:
            work = heap[0][3]
            if not work.queued:
                heapq.heappop(heap)
                continue
            if work.deadline_s <= now_s + expected_service_s or work.is_gone():
                result.late.append(work)
            elif not result.batch or candidates + work.candidate_count <= self._config.max_candidates:
                result.batch.append(work)
                candidates += work.candidate_count
            else:
                break
            heapq.heappop(heap)
            self._remove(work)
        if not result.batch:
            _serve_one(result, now_s)
        return result

    def _most_urgent_heap(self) -> "list[_Entry[Payload]] | None":
        most_urgent: list[_Entry[Payload]] | None = None
        for release, heap in list(self._heaps.items()):
            while heap and not heap[0][3].queued:
                heapq.heappop(heap)
            if not heap:
                del self._heaps[release]
            elif most_urgent is None or heap[0] < most_urgent[0]:
                most_urgent = heap
        return most_urgent

    def _make_room(self, work: Work[Payload]) -> list[Work[Payload]]:
        limit = self._config.max_waiting_candidates
        excess = self.waiting_candidates + work.candidate_count - limit
        if not self.waiting_requests or excess <= 0:
            return []
        if self.waiting_candidates - self._due.before(work.priority, work.due_s) < excess:
            raise QueueFull(
                f"queue: full, got {self.waiting_candidates} waiting candidates and a limit of {limit}; send again "
                f"later, or raise batching.max_waiting_candidates",
                retry_after_s=1,
            )
        entries = (entry[2:] for heap in self._heaps.values() for entry in heap)
        order = self._least_urgent = self._least_urgent or LeastUrgent(entries)
        displaced = order.pop(excess)
        for dropped in displaced:
            self._remove(dropped)
        return displaced

    def _remove(self, work: Work[Payload]) -> None:
        work.queued = False
        self._due.remove(work.priority, work.due_s, work.candidate_count)
        self.waiting_candidates -= work.candidate_count
        self.waiting_requests -= work.request_count
        if self._least_urgent is not None and self._least_urgent.is_stale(self.waiting_requests):
            self._least_urgent = None


def _serve_one(result: NextBatch[Payload], now_s: float) -> None:
    """Find the most urgent work in ``late`` that still has time, and move it to the batch."""
    for index, work in enumerate(result.late):
        if work.deadline_s > now_s and not work.is_gone():
            result.batch.append(result.late.pop(index))
            return
