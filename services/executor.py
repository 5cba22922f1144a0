"""The executor: takes batches through their stages, on the threads these need, and down the ladder.

Synchronous stages run on the one model thread. A stage that waits for another unit (``RemoteStage``) is awaited on
the event loop, one that blocks on a socket (``WaitingStage``) has an I/O thread, which spares the loop two wake-ups
a batch; with a bounded number of batches in flight. Their batches come back to the model thread for the rest.
A stage that fails or is too late falls to its next rung; where none is left the whole batch is answered from memory.
"""

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from models.ragged import RaggedBatch
from services.errors import Overloaded, RequestError
from services.jobs import Job, too_late
from services.ladder import Budget, Ladder, Rung, Why
from services.stages import RemoteStage, WaitingStage

Payload = TypeVar("Payload")
Asked_contra = TypeVar("Asked_contra", contravariant=True)
_MARGIN_S = 0.005
"""Between the last stage and the deadline: the answer has to be written and sent."""


class Memory(Protocol[Asked_contra]):
    """Answers from what lies in memory, by no stage and no store; may be called by any thread."""

    def __call__(self, payloads: Sequence[Asked_contra], release: str, why: Why, /) -> RaggedBatch:
        """Give the finished batch of these requests, and note in it what it is and why."""
        ...


class Executor(Generic[Payload]):
    """Runs one unit's stages. ``wake`` guards what the model thread and the loop share, the caller's queue too."""

    def __init__(
        self,
        *,
        merge: Callable[[Sequence[Payload], str], RaggedBatch],
        ladders_of: Callable[[str], Sequence[Ladder]],
        memory: "Memory[Payload] | None",
        take: "Callable[[], Job[Payload] | None]",
        widen: "Callable[[Job[Payload]], None]",
        share_s: "Callable[[Job[Payload], float], float]",
        deliver: "Callable[[Job[Payload], BaseException | None], None]",
        max_in_flight: int,
        clock: Callable[[], float],
    ) -> None:
        """Start the model thread.

        take: gives the next job, None while nothing waits; called with ``wake`` held. widen: adds to a job that
        is answered from memory what waits behind it. share_s: what a job may take
        in all, at a time, without making late what waits behind it. deliver: takes a finished job, on the loop.
        """
        self._merge, self._ladders_of, self._memory = merge, ladders_of, memory
        self._take, self._widen, self._share_s, self._deliver = take, widen, share_s, deliver
        self._max_in_flight, self._clock = max_in_flight, clock
        self._loop = asyncio.get_running_loop()
        self.wake = threading.Condition()
        self._returned: deque[Job[Payload]] = deque()
        self.in_flight = 0
        self.closed = False
        self.remote: set[asyncio.Task[None]] = set()
        # Starts threads as it needs them.
        self._io = ThreadPoolExecutor(max_in_flight, thread_name_prefix="io")
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the model thread after its present batch."""
        with self.wake:
            self.closed = True
            self.wake.notify()
        self._thread.join()
        self._io.shutdown()
        for task in self.remote:
            task.cancel()

    def post(self, callback: Callable[..., None], *args: object) -> None:
        """Have the event loop call back."""
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop closed first: nobody waits for the answer any more
            self.closed = True

    def from_memory(self, payloads: Sequence[Payload], release: str, why: Why) -> RaggedBatch:
        """Answer from memory, on the calling thread."""
        assert self._memory is not None
        return self._memory(payloads, release, why)

    # ---- the model thread ----

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                self._advance(job)
            except BaseException as error:  # a stage may raise anything; its batch alone is answered with it
                self._last_resort(job, error)
            del job  # an idle thread would keep its batch, and the batch's release

    def _next_job(self) -> "Job[Payload] | None":
        with self.wake:
            while not self.closed:
                if self._returned:
                    return self._returned.popleft()
                if self.in_flight < self._max_in_flight and (job := self._take()) is not None:
                    self.in_flight += 1
                    return job
                self.wake.wait()
        return None

    def _advance(self, job: Job[Payload]) -> None:
        if job.batch is None:
            job.ladders = self._ladders_of(job.works[0].release)
        while job.next_stage < len(job.ladders):
            rung = self._choose(job)
            if rung is None:
                self._last_resort(job, job.error)
                return
            if job.batch is None:
                payloads = [work.payload for work in job.works]
                job.batch = self._merge(payloads, job.works[0].release)
            if isinstance(rung.stage, RemoteStage):
                self.post(self._start_remote, job, rung.stage)
                return
            if isinstance(rung.stage, WaitingStage):
                self._io.submit(self._run_waiting, job, rung.stage)
                return
            started_s = self._clock()
            try:
                batch = rung.stage(job.batch)
            except BaseException as error:
                self._fall(job, error)
                continue
            now_s = self._clock()
            job.done(batch, now_s - started_s, now_s)
        self._finish(job, None)

    def _choose(self, job: Job[Payload]) -> Rung | None:
        rungs = job.ladder.rungs
        if job.rung >= len(rungs):
            return None
        if self._memory is None and len(rungs) == 1:
            return rungs[0]
        now_s = self._clock()
        reserve_s = job.reserve_s(now_s)
        budget = Budget(
            left_s=job.until_s - now_s - reserve_s - _MARGIN_S,
            share_s=self._share_s(job, now_s) - (now_s - job.dispatched_s) - reserve_s,
        )
        rung = job.choose(budget, now_s)
        if rung is None and self._memory is None:
            job.rung = len(rungs) - 1  # nothing is better than the last, however late
            return rungs[-1]
        return rung

    def _last_resort(self, job: Job[Payload], error: BaseException | None) -> None:
        """Answer the batch from memory; where that cannot be, with ``error``."""
        if error is not None:
            error = job.failure(error)
        if self._memory is not None and not isinstance(error, RequestError):
            if job.batch is None and job.why == "load":
                self._widen(job)
            started_s = self._clock()
            try:
                payloads = [work.payload for work in job.works]
                job.batch = self.from_memory(payloads, job.works[0].release, job.why or "failed")
                job.fell = True
                job.timings_ms["memory"] = (self._clock() - started_s) * 1e3
                error = None
            except BaseException as memory_error:
                error = error or job.failure(memory_error)
        self._finish(job, error)

    def _resume(self, job: Job[Payload]) -> None:
        """Hand a batch back to the model thread."""
        with self.wake:
            self._returned.append(job)
            self.wake.notify()

    def _fall(self, job: Job[Payload], error: BaseException) -> None:
        job.failed(error, "load" if isinstance(error, Overloaded) else "failed", self._clock())

    def _finish(self, job: Job[Payload], error: BaseException | None) -> None:
        with self.wake:
            self.in_flight -= 1
            self.wake.notify()
        self.post(self._deliver, job, error)

    # ---- an I/O thread ----

    def _run_waiting(self, job: Job[Payload], stage: WaitingStage) -> None:
        assert job.batch is not None
        started_s = self._clock()
        try:
            batch = stage(job.batch)
        except BaseException as error:  # as on the model thread
            self._fall(job, error)
        else:
            now_s = self._clock()
            job.done(batch, now_s - started_s, now_s)
        self._resume(job)

    # ---- the event loop ----

    def _start_remote(self, job: Job[Payload], stage: RemoteStage) -> None:
        task = self._loop.create_task(self._run_remote(job, stage))
        self.remote.add(task)
        task.add_done_callback(self.remote.discard)

    async def _run_remote(self, job: Job[Payload], stage: RemoteStage) -> None:
        assert job.batch is not None
        started_s = self._clock()
        limit = asyncio.timeout(self._limit_s(job, started_s))
        try:
            async with limit:
                batch = await stage.call(job.batch)
        except (Exception, asyncio.CancelledError) as error:  # whatever the other unit, or its handle, raised
            if limit.expired():
                job.failed(too_late(), "late", self._clock())
            else:
                self._fall(job, error)
        else:
            now_s = self._clock()
            job.done(batch, now_s - started_s, now_s)
        self._resume(job)

    def _limit_s(self, job: Job[Payload], now_s: float) -> float | None:
        """Give how long another unit is waited for: while the rung below can still make the deadline.

        Without one, to the last deadline: past it nobody waits, and a call that hangs must not keep its place.
        """
        if self._memory is None and job.rung + 1 == len(job.ladder.rungs):
            limit_s = max(work.deadline_s for work in job.works) - now_s
            return limit_s if math.isfinite(limit_s) else None
        below = job.ladder.rungs[job.rung + 1 : job.rung + 2]
        size = job.size
        after_s = (
            sum(rung.latency.expected_s(size, now_s) for rung in below) + job.reserve_s(now_s) + 3 * _MARGIN_S
        )
        limit_s = max(_MARGIN_S, job.until_s - now_s - after_s)
        return limit_s if math.isfinite(limit_s) else None
