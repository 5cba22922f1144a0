"""The work queue lies between the event loop, which offers work, and the executors, which take it.

One or several executors take from one queue. The queue keeps these invariants:

- Each work is taken at most once, by one executor. Batches leave in the batcher's order, whichever executor takes
  them.
- An executor finishes the batches that it took. A batch that returns from another thread goes before a new one.
- Work never waits while all executors that may take it sleep. An offer wakes one executor, and an executor that leaves
  work behind wakes the next.
- ``admission`` counts the batches that all executors together may have in flight.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from autoscale.serving_rules import least_left_s
from services.errors import DeadlinePassed, Overloaded
from services.scheduling.admission import Admission
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.consumer import Consumer
from services.scheduling.job import Job
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
        horizon_s: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start empty.

        Args:
            config: the limits of the queue and of batches.
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
            max_in_flight=0,
            promises=promises,
            horizon_s=horizon_s,
        )
        self._consumers: list[Consumer[Payload]] = []
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
        """The number of sleeping executors."""
        return sum(consumer.is_asleep for consumer in self._consumers)

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
            self._wake_one()
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
            for consumer in self._consumers:
                consumer.wake_up()

    # ---- called by executors ----

    def connect(self, max_in_flight: int) -> Consumer[Payload]:
        """Add an executor with at most ``max_in_flight`` batches in flight."""
        consumer: Consumer[Payload] = Consumer(max_in_flight, threading.Condition(self._lock))
        with self._lock:
            self._consumers.append(consumer)
            self.admission.max_in_flight += max_in_flight
        return consumer

    def take(self, consumer: Consumer[Payload]) -> Job[Payload] | None:
        """Wait for the job that the executor runs next. Return None after the queue was closed."""
        with self._lock:
            while not self.is_closed:
                if not consumer.ready and consumer.has_room and self._batcher.waiting_requests:
                    self._form(consumer)
                if consumer.ready:
                    if self._batcher.waiting_requests:
                        self._wake_one()  # this executor may have been woken for that work, but runs another job
                    return consumer.ready.popleft()
                consumer.sleep()
        return None

    def _form(self, consumer: Consumer[Payload]) -> None:
        now_s = self._clock()
        result = self._batcher.take(now_s, least_left_s(self.admission.seconds_per_batch, self._promises))
        consumer.refuse(result.late, now_s)
        if result.batch:
            consumer.begin(result.batch, now_s)

    def resume(self, consumer: Consumer[Payload], job: Job[Payload]) -> None:
        """Return a job to its executor, which runs it before it takes another."""
        with self._lock:
            consumer.ready.append(job)
            consumer.wake_up()

    def release(self, consumer: Consumer[Payload], job: Job[Payload]) -> None:
        """Stop counting a batch as in flight."""
        with self._lock:
            job.in_flight = False
            consumer.in_flight -= 1
            consumer.wake_up()

    def widen(self, consumer: Consumer[Payload], job: Job[Payload]) -> None:
        """Add waiting work to a job that is answered from memory. The added work is late, too, and adds little cost."""
        with self._lock:
            for _ in range(_BATCHES_FROM_MEMORY - 1):
                now_s = self._clock()
                result = self._batcher.take(now_s, release=job.release)
                job.add(result.batch)
                consumer.refuse(result.late, now_s)

    def share_s(self, priority: int, now_s: float) -> float:
        """Return the time that waiting work leaves to a batch of this priority, without taking the lock."""
        return self.admission.share_s(priority, now_s)

    def _wake_one(self) -> None:
        for consumer in self._consumers:
            if consumer.is_asleep and consumer.has_room:
                consumer.wake_up()
                return
