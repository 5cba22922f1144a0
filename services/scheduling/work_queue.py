"""The work queue lies between the event loop, which offers work, and the model threads, which take it.

One or several model threads take from one queue. The queue keeps these invariants:

- Each work is taken at most once, by one thread. Batches leave in the batcher's order, whichever thread takes them.
- A batch that returns from the event loop or an I/O thread goes before a new one. Any model thread may continue it.
- Work never waits while a thread that may take it sleeps. An offer wakes one thread, and a thread that leaves work
  behind wakes the next.
- ``admission`` counts the batches that all threads together may have in flight.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from autoscale.serving_rules import least_left_s
from services.errors import DeadlinePassed, Overloaded
from services.scheduling.admission import Admission
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.job import Job
from services.scheduling.taken import Taken
from services.scheduling.work import Work

Payload = TypeVar("Payload")
_BATCHES_FROM_MEMORY = 8
"""The most batches that are answered from memory at once."""


class WorkQueue(Generic[Payload]):
    """The batcher, admission, and the lock around the batcher.

    ``offer``, ``cancel`` and ``learn`` are for the event loop. The other methods are for any thread.
    """

    def __init__(
        self,
        config: BatchingConfig,
        *,
        promises: bool,
        max_in_flight: int = 1,
        threads: int = 1,
        horizon_s: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start empty.

        Args:
            config: the limits of the queue and of batches.
            max_in_flight: batches that may be in flight at once.
            threads: the number of model threads, at most ``max_in_flight``.
            promises: whether every admitted request gets an answer, if necessary from memory.
            horizon_s: the default deadline as a duration.
            clock: the clock of all deadlines, in seconds.
        """
        self._promises, self._clock, self.horizon_s = promises, clock, horizon_s
        self._lock = threading.Lock()
        self._batcher: Batcher[Payload] = Batcher(config)
        self.admission = Admission(
            self._batcher,
            max_candidates=config.max_candidates,
            max_in_flight=max_in_flight,
            promises=promises,
            threads=threads,
            horizon_s=horizon_s,
        )
        self._taken: Taken[Payload] = Taken(max_in_flight, self._lock)
        self.is_closed = False

    @property
    def waiting_candidates(self) -> int:
        """The number of waiting candidates."""
        return self._batcher.waiting_candidates

    @property
    def is_empty(self) -> bool:
        """Whether no work is waiting."""
        return not (self._batcher.waiting_requests or self._batcher.waiting_candidates)

    @property
    def has_refused_recently(self) -> bool:
        """Whether work was refused recently because of the work ahead of it."""
        return self.admission.has_refused_recently(self._clock())

    @property
    def sleeping(self) -> int:
        """The number of model threads that wait for a job."""
        return len(self._taken.sleeping)

    @property
    def in_flight(self) -> int:
        """The number of unfinished batches, except calls that have taken longer than the horizon."""
        return self._taken.in_flight

    def refusal(
        self, priority: int, deadline_s: float, *, due_s: float | None = None
    ) -> DeadlinePassed | None:
        """Return the error for work that would be late if it were offered now. None if it may be in time."""
        return self.admission.refusal(priority, deadline_s, self._clock(), due_s=due_s)

    def offer(self, work: Work[Payload]) -> list[Work[Payload]]:
        """Admit the work. Return the less urgent work that was removed to make room.

        Raises:
            DeadlinePassed: the work would be late.
            QueueFull: there is no room.
            Overloaded: the queue is closed.
        """
        if self.is_closed:
            raise Overloaded("this replica is stopping; send again", retry_after_s=1)
        refused = self.refusal(work.priority, work.deadline_s, due_s=work.due_s)
        if refused is not None:
            raise refused
        with self._lock:
            displaced = self._batcher.offer(work)
            if self._taken.has_room:
                self._taken.wake_up()
        return displaced

    def cancel(self, work: Work[Payload]) -> None:
        """Remove work that is still waiting. Work in a batch stays there."""
        if work.queued:
            with self._lock:
                self._batcher.cancel(work)

    def learn(self, elapsed_s: float, candidates: int) -> None:
        """Learn from a batch of ``candidates`` that took ``elapsed_s`` after it left the queue."""
        self.admission.learn(elapsed_s, candidates)

    def close(self) -> None:
        """Accept no more work, and end every ``take``. Waiting work stays in the queue."""
        with self._lock:
            self.is_closed = True
            while self._taken.sleeping:
                self._taken.wake_up()

    # ---- called by the executor ----

    def take(self) -> Job[Payload] | None:
        """Wait for the job that this model thread runs next. Return None after the queue was closed."""
        taken = self._taken
        with self._lock:
            while not self.is_closed:
                if not taken.ready and taken.has_room and self._batcher.waiting_requests:
                    self._form()
                if taken.ready:
                    job = taken.ready.popleft()
                    if taken.sleeping:  # this thread may have been woken for the work that it leaves behind
                        self._wake_for_the_rest()
                    return job
                taken.sleep()
        return None

    def _form(self) -> None:
        now_s = self._clock()
        result = self._batcher.take(now_s, least_left_s(self.admission.seconds_per_batch, self._promises))
        self._taken.refuse(result.late, now_s)
        if result.batch:
            self._taken.begin(result.batch, now_s)

    def resume(self, job: Job[Payload]) -> None:
        """Return a job to the model threads. It goes before waiting work."""
        with self._lock:
            self._taken.ready.append(job)
            self._taken.wake_up()

    def release(self, job: Job[Payload]) -> None:
        """Stop counting a batch as in flight."""
        with self._lock:
            job.in_flight = False
            self._taken.in_flight -= 1
            if self._taken.sleeping:
                self._wake_for_the_rest()

    def widen(self, job: Job[Payload]) -> None:
        """Add waiting work to a job that is answered from memory. The added work is late, too, and adds little cost."""
        with self._lock:
            for _ in range(_BATCHES_FROM_MEMORY - 1):
                now_s = self._clock()
                result = self._batcher.take(now_s, release=job.release)
                job.add(result.batch)
                self._taken.refuse(result.late, now_s)

    def share_s(self, priority: int, now_s: float) -> float:
        """Return the time that waiting work leaves to a batch of this priority, without taking the lock."""
        return self.admission.share_s(priority, now_s)

    def _wake_for_the_rest(self) -> None:
        if self._taken.ready or (self._batcher.waiting_requests and self._taken.has_room):
            self._taken.wake_up()
