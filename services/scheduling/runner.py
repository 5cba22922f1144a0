"""The runner: queue, deadlines and answers of a replica.

The event loop only enqueues and answers; the ``Executor``'s model thread forms a batch the moment it is idle. Where
there are answers from memory, a request is promised one at admission: what the stages do not answer in time is
answered from memory just before its deadline, on the loop itself.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from models.ragged import RaggedBatch
from services.errors import DeadlinePassed, Overloaded, QueueFull
from services.scheduling.admission import Pace
from services.scheduling.batcher import Batcher, BatchingConfig, Work
from services.scheduling.executor import Executor, Memory
from services.scheduling.job import Answer, Job, last_moment_s, logger, too_late
from services.scheduling.ladder import Ladder
from services.telemetry.metrics import UnitMetrics

Payload = TypeVar("Payload")
_SWEEP_PERIOD_S = 0.02
_WIDENED = 8
"""Batches that are answered from memory at once."""


class Runner(Generic[Payload]):
    """Runs one unit's stages over batches of what is submitted."""

    def __init__(
        self,
        *,
        merge: Callable[[Sequence[Payload], str], RaggedBatch],
        ladders_of: Callable[[str], Sequence[Ladder]],
        batching: BatchingConfig,
        max_in_flight: int,
        metrics: UnitMetrics,
        memory: "Memory[Payload] | None" = None,
        horizon_s: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the model thread.

        merge: payloads and release to a ragged batch. ladders_of: the stages of a release.
        max_in_flight: batches begun and not finished, those away at another unit included.
        memory: what answers requests that no stage can in time. horizon_s: the deadline of requests by default.
        """
        self._clock, self._metrics = clock, metrics
        self._rescues = memory is not None
        self._loop = asyncio.get_running_loop()
        self._batcher: Batcher[Payload] = Batcher(batching)  # guarded by the executor's wake
        self._pace = Pace(
            self._batcher,
            max_candidates=batching.max_candidates,
            max_in_flight=max_in_flight,
            promises=self._rescues,
            horizon_s=horizon_s,
        )
        self._futures: dict[Work[Payload], asyncio.Future[Answer]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._executor: Executor[Payload] = Executor(
            merge=merge,
            ladders_of=ladders_of,
            memory=memory,
            take=self._take,
            widen=self._widen,
            share_s=self._share_s,
            deliver=self._deliver,
            max_in_flight=max_in_flight,
            horizon_s=horizon_s,
            clock=clock,
        )

    @property
    def waiting_candidates(self) -> int:
        """Candidates in the queue now."""
        return self._batcher.waiting_candidates

    async def submit(self, work: Work[Payload]) -> Answer:
        """Queue the work and wait for its answer.

        Raises:
            QueueFull: the queue's limit is reached. DeadlinePassed: it was, or would be, too late.
            StageFailed: a stage raised on its batch, and nothing could be put in its place.
        """
        self._metrics.arrived(work.request_count, work.candidate_count)
        try:
            return await self._submit(work)
        except Overloaded:
            self._metrics.shed(work.request_count)
            raise

    async def _submit(self, work: Work[Payload]) -> Answer:
        if self._executor.closed:
            raise Overloaded("this replica is stopping: send the request again", retry_after_s=1)
        refused = self._pace.refusal(work.priority, work.deadline_s, self._clock(), due_s=work.due_s)
        if refused is not None:
            raise refused
        future: asyncio.Future[Answer] = self._loop.create_future()
        with self._executor.wake:
            displaced = self._batcher.offer(work)
            self._executor.wake.notify()
        self._refuse(displaced, _displaced())
        self._futures[work] = future
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_PERIOD_S, self._sweep)
        try:
            return await future
        finally:
            del self._futures[work]
            if work.queued:
                # Cancelled or answered while it waited; work in a batch keeps its slice there.
                with self._executor.wake:
                    self._batcher.cancel(work)

    async def rehearse(self, works: list[Work[Payload]], rung: int) -> list[Answer]:
        """Run the works as one batch, every stage by its ``rung`` or its last, and wait for their answers.

        Raises:
            ServiceError: a stage failed.
        """
        futures: list[asyncio.Future[Answer]] = [self._loop.create_future() for _ in works]
        self._futures |= dict(zip(works, futures, strict=True))
        try:
            self._executor.resume(Job(works, self._clock(), has_place=False, rehearsed=rung))
            return await asyncio.gather(*futures)
        finally:
            for work in works:
                del self._futures[work]

    def refusal(self, priority: int, deadline_s: float) -> DeadlinePassed | None:
        """Return the error for a request that would be late if it were submitted now; None if it may be in time."""
        return self._pace.refusal(priority, deadline_s, self._clock())

    def close(self) -> None:
        """Stop the model thread after its present batch; what waits is refused."""
        self._executor.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._refuse(list(self._futures), Overloaded("this replica is stopping: send again", retry_after_s=1))

    # ---- called by the executor, on the model thread ----

    def _take(self) -> "Job[Payload] | None":
        while self._batcher:
            now_s = self._clock()
            taken = self._batcher.take(now_s, 0.0 if self._rescues else self._pace.seconds_per_batch)
            if taken.late:
                self._executor.post(self._answer_late, taken.late)
            if taken.batch:
                return Job(taken.batch, now_s)
        return None

    def _widen(self, job: "Job[Payload]") -> None:
        """Answers from memory cost little more for many: those that wait behind are as late."""
        with self._executor.wake:
            for _ in range(_WIDENED - 1):
                taken = self._batcher.take(self._clock(), release=job.works[0].release)
                job.works += taken.batch
                if taken.late:
                    self._executor.post(self._answer_late, taken.late)

    def _share_s(self, job: Job[Payload], now_s: float) -> float:
        with self._executor.wake:
            return self._pace.share_s(job.works[0].priority, now_s)

    # ---- the event loop ----

    def _deliver(self, job: Job[Payload], error: BaseException | None) -> None:
        if error is not None:
            self._refuse(job.works, error)
            return
        assert job.batch is not None
        self._answer(job.works, job.batch, job.dispatched_s, job.timings_ms)
        if job.rehearsed is not None:
            return
        if not job.is_part:
            self._pace.learn(self._clock() - job.dispatched_s, job.size)
        requests = sum(work.request_count for work in job.works)
        candidates = sum(work.candidate_count for work in job.works)
        self._metrics.batch_done(requests, candidates, job.timings_ms)
        if job.fell:
            self._metrics.shed(requests)

    def _answer(
        self, works: Iterable[Work[Payload]], batch: RaggedBatch, at_s: float, timings_ms: dict[str, float]
    ) -> None:
        first = 0
        for work in works:
            future = self._futures.get(work)
            if future is not None and not future.done():
                future.set_result(Answer(batch, first, (at_s - work.arrived_s) * 1e3, timings_ms))
            # Whoever has gone still advances the slice: the next answer must be its own.
            first += work.request_count

    def _refuse(self, works: Iterable[Work[Payload]], error: BaseException) -> None:
        for work in works:
            future = self._futures.get(work)
            if future is not None and not future.done():
                future.set_exception(error)

    def _answer_late(self, works: list[Work[Payload]]) -> None:
        """Answer from memory what still can be, and refuse the rest."""
        now_s = self._clock()
        waiting = [work for work in works if work in self._futures and not self._futures[work].done()]
        if self._rescues:
            in_time = [work for work in waiting if work.deadline_s > now_s and not _is_gone(work)]
            for release, same in itertools.groupby(in_time, lambda work: work.release):
                self._rescue(list(same), release, now_s)
        self._refuse(waiting, too_late())

    def _rescue(self, works: list[Work[Payload]], release: str, now_s: float) -> None:
        try:
            batch = self._executor.from_memory([work.payload for work in works], release, "late")
        except Exception:
            logger.exception("no answer from memory for %d requests", len(works))
            return
        self._answer(works, batch, now_s, {"memory": (self._clock() - now_s) * 1e3})
        self._metrics.shed(sum(work.request_count for work in works))

    def _sweep(self) -> None:
        """Answer what is about to miss its deadline, or has, wherever it is; one timer for all requests."""
        now_s = self._clock()
        due_s = last_moment_s if self._rescues else _deadline_s
        self._answer_late([work for work in self._futures if due_s(work) <= now_s])
        self._metrics.queue(self._batcher.waiting_candidates)
        self._sweeper = self._loop.call_later(_SWEEP_PERIOD_S, self._sweep) if self._futures else None


def _deadline_s(work: Work[Payload]) -> float:
    return work.deadline_s


def _is_gone(work: Work[Payload]) -> bool:
    return work.is_abandoned is not None and work.is_abandoned()


def _displaced() -> QueueFull:
    return QueueFull(
        "the queue is full, and a request of higher priority or with an earlier deadline came: send again later",
        retry_after_s=1,
    )
