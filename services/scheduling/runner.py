"""The runner is a unit's asyncio side. It offers work to the queue and keeps a waiter for each answer.

A request passes the modules in one direction: ``Runner.begin`` -> ``WorkQueue.offer`` -> ``Executor`` -> the stages
-> ``on_done``, which calls the waiter. If answers from memory exist, every admitted request is promised an answer. A
request whose stages do not finish in time is answered from memory, on the event loop, shortly before its deadline.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from autoscale.serving_rules import SWEEP_PERIOD_S
from models.ragged import RaggedBatch
from services.errors import DeadlinePassed, Overloaded, QueueFull
from services.scheduling.batcher import BatchingConfig
from services.scheduling.deadlines import last_moment_s, too_late
from services.scheduling.executor import Executor, Memory
from services.scheduling.job import Answer, Job, logger
from services.scheduling.ladder import Ladder
from services.scheduling.waiter import FutureWaiter, Waiter
from services.scheduling.work import Work
from services.scheduling.work_queue import WorkQueue
from services.telemetry.metrics import UnitMetrics

Payload = TypeVar("Payload")
_DISPLACED = (
    "queue: full, and a request of higher priority or with an earlier deadline arrived; send again later"
)


class Runner(Generic[Payload]):
    """Runs one unit's stages over batches of submitted work. For the event loop only."""

    def __init__(
        self,
        *,
        merge: Callable[[Sequence[Payload], str], RaggedBatch],
        ladders_of: Callable[[str], Sequence[Ladder]],
        batching: BatchingConfig,
        max_in_flight: int,
        threads: int = 1,
        metrics: UnitMetrics,
        memory: "Memory[Payload] | None" = None,
        horizon_s: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the model threads.

        Args:
            merge: merges payloads for one release into a ragged batch.
            ladders_of: returns a release's ladders, one per stage.
            batching: the limits of the queue and of batches.
            max_in_flight: batches that may be in flight at once, including calls to another unit. At least one for each
                model thread.
            threads: the number of model threads.
            metrics: the unit's metrics.
            memory: answers requests that no rung can serve in time.
            horizon_s: the default deadline as a duration.
            clock: the clock of all deadlines, in seconds.
        """
        self._clock, self._metrics, self._memory = clock, metrics, memory
        self._loop = asyncio.get_running_loop()
        self._waiters: dict[Work[Payload], Waiter] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self.queue: WorkQueue[Payload] = WorkQueue(
            batching,
            promises=memory is not None,
            max_in_flight=max(max_in_flight, threads),
            threads=threads,
            horizon_s=horizon_s,
            clock=clock,
        )
        self._executor: Executor[Payload] = Executor(
            self.queue,
            merge=merge,
            ladders_of=ladders_of,
            on_done=self._on_done,
            threads=threads,
            memory=memory,
            clock=clock,
        )

    @property
    def waiting_candidates(self) -> int:
        """The candidates in the queue now."""
        return self.queue.waiting_candidates

    @property
    def batches_in_flight(self) -> int:
        """The number of unfinished batches, except calls that have taken longer than the default deadline."""
        return self._executor.batches_in_flight

    @property
    def calls_in_flight(self) -> int:
        """The number of unfinished calls to other units."""
        return self._executor.calls_in_flight

    @property
    def is_idle(self) -> bool:
        """Whether no work is waiting or running, and no caller is waiting."""
        is_running = self.batches_in_flight or self.calls_in_flight
        return self.queue.is_empty and not is_running and not self._waiters

    async def submit(self, work: Work[Payload]) -> Answer:
        """Queue the work and wait for its answer.

        Raises:
            QueueFull: the queue's limit is reached.
            DeadlinePassed: the answer is late, or would be late.
            StageFailed: a stage raised on its batch, and there is no fallback.
        """
        waiter = FutureWaiter(self._loop)
        self.begin(work, waiter)
        try:
            return await waiter.future
        finally:
            self._take(work)  # it is still there if this task was cancelled

    def begin(self, work: Work[Payload], waiter: Waiter) -> None:
        """Queue the work. The waiter gets its answer or its error later.

        Raises:
            QueueFull: the queue's limit is reached. The waiter gets nothing.
            DeadlinePassed: the answer would be late. The waiter gets nothing.
        """
        self._metrics.arrived(work.request_count, work.candidate_count)
        try:
            displaced = self.queue.offer(work)
        except Overloaded:
            self._metrics.shed(work.request_count)
            raise
        self._waiters[work] = waiter
        if displaced:
            self._refuse(displaced, QueueFull(_DISPLACED, retry_after_s=1))
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_PERIOD_S, self._sweep)

    async def rehearse(self, works: list[Work[Payload]], rung: int) -> list[Answer]:
        """Run the works as one batch, and wait for their answers.

        Each stage uses its rung with the index ``rung``, or its last rung if it has fewer.

        Raises:
            ServiceError: a stage failed.
        """
        waiters = [FutureWaiter(self._loop) for _ in works]
        self._waiters |= zip(works, waiters, strict=True)
        try:
            self._executor.run(Job(works, self._clock(), in_flight=False, rehearsed=rung))
            return await asyncio.gather(*[waiter.future for waiter in waiters])
        finally:
            for work in works:
                self._take(work)

    def refusal(self, priority: int, deadline_s: float) -> DeadlinePassed | None:
        """Return the error for a request that would be late if it were submitted now. None if it may be in time."""
        return self.queue.refusal(priority, deadline_s)

    def close(self) -> None:
        """Stop the model threads after their present batches. Waiting requests are refused."""
        self.queue.close()
        self._executor.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._refuse(list(self._waiters), Overloaded("this replica is stopping; send again", retry_after_s=1))

    def _on_done(self, job: Job[Payload], error: BaseException | None) -> None:
        if error is not None:
            self._refuse(job.works, error)
            return
        assert job.batch is not None
        self._answer(job.works, job.batch, job.dispatched_s, job.timings_ms)
        if job.rehearsed is not None:
            return
        if not job.is_part:
            self.queue.learn(self._clock() - job.dispatched_s, job.size)
        requests = sum([work.request_count for work in job.works])
        self._metrics.batch_done(requests, job.size, job.timings_ms)
        if job.is_degraded:
            self._metrics.shed(requests)

    def _answer(
        self,
        works: Iterable[Work[Payload]],
        batch: RaggedBatch,
        dispatched_s: float,
        timings_ms: dict[str, float],
    ) -> None:
        first = 0
        timings_ms = {name: round(ms, 3) for name, ms in timings_ms.items()}
        for work in works:
            waiter = self._take(work)
            if waiter is not None:
                waiter.answered(Answer(batch, first, (dispatched_s - work.arrived_s) * 1e3, timings_ms))
            # A request whose client has left is counted too. Otherwise later requests would get wrong answers.
            first += work.request_count

    def _refuse(self, works: Iterable[Work[Payload]], error: BaseException) -> None:
        for work in works:
            waiter = self._take(work)
            if waiter is not None:
                if isinstance(error, Overloaded):
                    self._metrics.shed(work.request_count)
                waiter.failed(error)

    def _take(self, work: Work[Payload]) -> Waiter | None:
        """Remove the waiter, and the work if it still waits in the queue. Work in a batch keeps its place there."""
        waiter = self._waiters.pop(work, None)
        if waiter is not None and work.queued:
            self.queue.cancel(work)
        return waiter

    def _sweep(self) -> None:
        """Answer requests that are about to miss their deadlines or have missed them. One timer serves all requests."""
        now_s = self._clock()
        waiting = list(self._waiters)
        if self._memory is None:
            due = [work for work in waiting if work.deadline_s <= now_s]
        else:
            due = [work for work in waiting if last_moment_s(work) <= now_s]
            in_time = [work for work in due if work.deadline_s > now_s and not work.is_gone()]
            for release, group in itertools.groupby(in_time, lambda work: work.release):
                self._rescue(self._memory, list(group), release)
        self._refuse(due, too_late())
        self._metrics.queue(self.queue.waiting_candidates)
        self._sweeper = self._loop.call_later(SWEEP_PERIOD_S, self._sweep) if self._waiters else None

    def _rescue(self, memory: "Memory[Payload]", works: list[Work[Payload]], release: str) -> None:
        now_s = self._clock()
        try:
            batch = memory([work.payload for work in works], release, "late")
        except Exception:
            logger.exception("cannot answer %d requests from memory", len(works))
            return
        self._answer(works, batch, now_s, {"memory": (self._clock() - now_s) * 1e3})
        self._metrics.shed(sum(work.request_count for work in works))
