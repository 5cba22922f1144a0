"""The runner: queues, deadlines and the one model thread of a replica.

The event loop only enqueues and answers. The model thread forms a batch the moment it is idle and runs
the synchronous stages. A stage that waits for another unit (``RemoteStage``) is awaited on the loop, one that
blocks on a socket (``WaitingStage``) has an I/O thread, which spares the loop two wake-ups a batch; with a bounded
number of batches in flight. Their batches come back to the model thread for the rest.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from models.ragged import RaggedBatch
from services.batching import Batcher, BatchingConfig, Work
from services.errors import DeadlinePassed, Overloaded
from services.metrics import UnitMetrics
from services.stages import Answer, AnyStage, Job, RemoteStage, WaitingStage

Payload = TypeVar("Payload")
_SWEEP_PERIOD_S = 0.02
# One slow batch must not shed the requests after it: the expectation rises slowly and falls fast.
_RISING, _FALLING = 0.1, 0.5


class Runner(Generic[Payload]):
    """Runs one unit's stages over batches of what is submitted."""

    def __init__(
        self,
        *,
        merge: Callable[[Sequence[Payload], str], RaggedBatch],
        stages_of: Callable[[str], Sequence[AnyStage]],
        batching: BatchingConfig,
        max_in_flight: int,
        metrics: UnitMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the model thread.

        merge: payloads and release to a ragged batch. stages_of: the stages of a release.
        max_in_flight: batches begun and not finished, those away at another unit included.
        """
        self._merge = merge
        self._stages_of = stages_of
        self._clock = clock
        self._metrics = metrics
        self._max_in_flight = max_in_flight
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        # Guarded by _wake: everything the model thread and the loop share.
        self._batcher: Batcher[Payload] = Batcher(batching)
        self._returned: deque[Job[Payload]] = deque()
        self._in_flight = 0
        self._closed = False
        # Touched by the loop alone.
        self._futures: dict[Work[Payload], asyncio.Future[Answer]] = {}
        self._remote: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._seconds_per_batch = 0.0
        self._io = ThreadPoolExecutor(
            max_in_flight, thread_name_prefix="io"
        )  # starts threads as it needs them
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting_candidates(self) -> int:
        """Candidates in the queue now."""
        return self._batcher.waiting_candidates

    async def submit(self, work: Work[Payload]) -> Answer:
        """Queue the work and wait for its answer.

        Raises:
            QueueFull: the queue's limit is reached. DeadlinePassed: it was, or would be, too late.
            StageFailed: a stage raised on its batch.
        """
        if self._closed:
            raise Overloaded("this replica is stopping: send the request again", retry_after_s=1)
        ahead_s = self._batcher.batches_ahead(work) * self._seconds_per_batch / self._max_in_flight
        if self._clock() + ahead_s > work.deadline_s:
            raise (
                _too_late()
                if ahead_s == 0
                else DeadlinePassed(
                    f"{self._batcher.waiting_candidates} candidates go before this request, more than its deadline "
                    f"allows: send again later, or give it a longer deadline_ms",
                    retry_after_s=1,
                )
            )
        future: asyncio.Future[Answer] = self._loop.create_future()
        with self._wake:
            self._batcher.offer(work)
            self._wake.notify()
        self._futures[work] = future
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_PERIOD_S, self._sweep)
        try:
            return await future
        finally:
            del self._futures[work]
            if work.queued:
                # Cancelled or too late while it waited; work in a batch keeps its slice there.
                with self._wake:
                    self._batcher.cancel(work)

    def close(self) -> None:
        """Stop the model thread after its present batch; what waits is refused."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        self._io.shutdown()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in self._remote:
            task.cancel()
        for future in list(self._futures.values()):
            if not future.done():
                future.set_exception(Overloaded("this replica is stopping: send again", retry_after_s=1))

    # ---- the model thread ----

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                self._advance(job)
            except BaseException as error:  # a stage may raise anything; its batch alone is answered with it
                self._finish(job, error)

    def _next_job(self) -> "Job[Payload] | None":
        with self._wake:
            while not self._closed:
                if self._returned:
                    return self._returned.popleft()
                if self._batcher and self._in_flight < self._max_in_flight:
                    now_s = self._clock()
                    taken = self._batcher.take(now_s, self._seconds_per_batch)
                    if taken.late:
                        self._post(self._refuse_late, taken.late)
                    if taken.batch:
                        self._in_flight += 1
                        return Job(taken.batch, now_s)
                    continue
                self._wake.wait()
        return None

    def _advance(self, job: Job[Payload]) -> None:
        if job.batch is None:
            release = job.works[0].release
            job.stages = self._stages_of(release)
            job.batch = self._merge([work.payload for work in job.works], release)
        while job.next_stage < len(job.stages):
            stage = job.stages[job.next_stage]
            if isinstance(stage, RemoteStage):
                self._post(self._start_remote, job, stage)
                return
            if isinstance(stage, WaitingStage):
                self._io.submit(self._run_waiting, job, stage)
                return
            started_s = self._clock()
            job.batch = stage(job.batch)
            job.done(stage.name, self._clock() - started_s)
        self._finish(job, None)

    def _resume(self, job: Job[Payload]) -> None:
        """Hand a batch back to the model thread."""
        with self._wake:
            self._returned.append(job)
            self._wake.notify()

    def _finish(self, job: Job[Payload], error: BaseException | None) -> None:
        with self._wake:
            self._in_flight -= 1
            self._wake.notify()
        self._post(self._deliver, job, error)

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop closed first: nobody waits for the answer any more
            self._closed = True

    # ---- an I/O thread ----

    def _run_waiting(self, job: Job[Payload], stage: WaitingStage) -> None:
        assert job.batch is not None
        started_s = self._clock()
        try:
            job.batch = stage(job.batch)
        except BaseException as error:  # as on the model thread
            self._finish(job, error)
            return
        job.done(stage.name, self._clock() - started_s)
        self._resume(job)

    # ---- the event loop ----

    def _start_remote(self, job: Job[Payload], stage: RemoteStage) -> None:
        task = self._loop.create_task(self._run_remote(job, stage))
        self._remote.add(task)
        task.add_done_callback(self._remote.discard)

    async def _run_remote(self, job: Job[Payload], stage: RemoteStage) -> None:
        assert job.batch is not None
        started_s = self._clock()
        # Past the last deadline nobody waits: a call that hangs must not keep its place in flight.
        limit_s = max(work.deadline_s for work in job.works) - started_s
        limit = asyncio.timeout(limit_s if math.isfinite(limit_s) else None)
        try:
            async with limit:
                job.batch = await stage.call(job.batch)
        except (Exception, asyncio.CancelledError) as error:  # whatever the other unit, or its handle, raised
            self._finish(job, _too_late() if limit.expired() else error)
            return
        job.done(stage.name, self._clock() - started_s)
        self._resume(job)

    def _deliver(self, job: Job[Payload], error: BaseException | None) -> None:
        failure = None if error is None else job.failure(error)
        first = 0
        for work in job.works:
            future = self._futures.get(work)
            if future is not None and not future.done():
                if failure is not None:
                    future.set_exception(failure)
                elif job.batch is not None:
                    queued_ms = (job.dispatched_s - work.arrived_s) * 1e3
                    future.set_result(Answer(job.batch, first, queued_ms, job.timings_ms))
            # Whoever has gone still advances the slice: the next answer must be its own.
            first += work.request_count
        if failure is None:
            self._learn(self._clock() - job.dispatched_s)
            self._metrics.batch_done(sum(work.candidate_count for work in job.works), job.timings_ms)

    def _refuse_late(self, late: list[Work[Payload]]) -> None:
        for work in late:
            self._expire(work)

    def _expire(self, work: Work[Payload]) -> None:
        future = self._futures.get(work)
        if future is not None and not future.done():
            future.set_exception(_too_late())

    def _sweep(self) -> None:
        """Answer what passed its deadline, wherever it is; one timer for all requests."""
        now_s = self._clock()
        for work in [work for work in self._futures if work.deadline_s <= now_s]:
            self._expire(work)
        self._metrics.queue(self._batcher.waiting_candidates)
        self._sweeper = self._loop.call_later(_SWEEP_PERIOD_S, self._sweep) if self._futures else None

    def _learn(self, elapsed_s: float) -> None:
        change_s = elapsed_s - self._seconds_per_batch
        self._seconds_per_batch += change_s * (_RISING if change_s > 0 else _FALLING)


def _too_late() -> DeadlinePassed:
    return DeadlinePassed(
        "the deadline passed before the answer was ready: send again, or give a longer deadline_ms",
        retry_after_s=1,
    )
