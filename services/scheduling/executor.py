"""The executor: takes batches through their stages, on the threads these need, and down the ladder.

Synchronous stages run on the one model thread. A stage that waits for another unit (``RemoteStage``) is awaited on
the event loop. One that blocks on a socket (``WaitingStage``) has an I/O thread, which saves the loop two wake-ups a
batch. Their batches come back to the model thread for the rest. The number of batches in flight is bounded.
A request whose stage fails or would be late falls to the next rung. If none is left, it is answered from memory.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from models.ragged import RaggedBatch
from services.errors import Overloaded, RequestError
from services.scheduling.job import Job, last_moment_s
from services.scheduling.ladder import Ladder, Part, Rung
from services.scheduling.remote_calls import MARGIN_S, RemoteCalls
from services.stages.base import RemoteStage, WaitingStage, Why

Payload = TypeVar("Payload")
Asked_contra = TypeVar("Asked_contra", contravariant=True)


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
        horizon_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Start the model thread.

        take: returns the next job, None while nothing waits; called with ``wake`` held. widen: adds waiting work to a
        job that is answered from memory. share_s: how long a job may take without making waiting work late.
        deliver: takes a finished job, on the loop. horizon_s: how long a call may keep its place.
        """
        self._merge, self._ladders_of, self._memory = merge, ladders_of, memory
        self._take, self._widen, self._share_s, self._deliver = take, widen, share_s, deliver
        self._max_in_flight, self._clock = max_in_flight, clock
        self._loop = asyncio.get_running_loop()
        self.wake = threading.Condition()
        self._returned: deque[Job[Payload]] = deque()
        self.in_flight = 0
        self.closed = False
        self.calls: RemoteCalls[Payload] = RemoteCalls(
            resume=self.resume,
            fall=self._fall,
            release=self._release,
            rescues=memory is not None,
            horizon_s=horizon_s,
            clock=clock,
        )
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
        self.calls.cancel()

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
            rung, others = self._choose(job)
            try:
                batch = None if rung is None else self._begin(job, rung)
            finally:
                self._send_on(others)
            if rung is None:
                self._last_resort(job, job.error)
                return
            if batch is None or isinstance(rung.stage, RemoteStage):
                return
            started_s = self._clock()
            try:
                batch = rung.stage(batch)
            except BaseException as error:
                self._fall(job, error, self._clock() - started_s)
                continue
            now_s = self._clock()
            job.done(batch, now_s - started_s, now_s)
        self._finish(job, None)

    def _begin(self, job: Job[Payload], rung: Rung) -> RaggedBatch | None:
        """Return the batch for a stage of this thread; hand the job on, and return None, if it is another's."""
        if job.batch is None:
            job.batch = self._merge([work.payload for work in job.works], job.works[0].release)
        if isinstance(rung.stage, RemoteStage):
            self.post(self.calls.start, job, rung.stage)
            return None
        if isinstance(rung.stage, WaitingStage):
            self._io.submit(self._run_waiting, job, rung.stage)
            return None
        return job.batch

    def _choose(self, job: Job[Payload]) -> tuple[Rung | None, list[Job[Payload]]]:
        """Return the rung that the job takes next, None for memory.

        Besides, return the requests that need a lower rung. They have left the job as jobs of their own.
        """
        rungs, others = job.ladder.rungs, list[Job[Payload]]()
        if job.rehearsed is not None:
            job.rung = min(job.rehearsed, len(rungs) - 1)
            return (rungs[job.rung] if job.error is None else None), others
        if self._memory is not None and not job.is_settled and job.rung < len(rungs):
            own, *parts = self._divide(job)
            if parts:
                others = job.leave([part.members for part in parts])
                for other, part in zip(others, parts, strict=True):
                    other.settle(part)
            job.settle(own)
        return (rungs[job.rung] if job.rung < len(rungs) else None), others

    def _divide(self, job: Job[Payload]) -> list[Part]:
        now_s = self._clock()
        reserve_s = job.reserve_s(now_s)
        share_s = self._share_s(job, now_s) - (now_s - job.dispatched_s) - reserve_s
        if job.is_ranked:  # to order it costs no more than an answer from memory
            share_s = max(share_s, job.ladder.cheapest_s(job.size, now_s))
        taken_s = now_s + reserve_s + MARGIN_S
        return job.divide([last_moment_s(work) - taken_s for work in job.works], share_s, now_s)

    def _send_on(self, jobs: Sequence[Job[Payload]]) -> None:
        """Advance jobs that left another one. On this thread they go first: they have less time."""
        for job in jobs:
            try:
                self._advance(job)
            except BaseException as error:  # as in _work
                self._last_resort(job, error)

    def _last_resort(self, job: Job[Payload], error: BaseException | None) -> None:
        """Answer the batch from memory; if that is impossible, with ``error``."""
        if error is not None:
            error = job.failure(error)
        if self._memory is not None and job.rehearsed is None and not isinstance(error, RequestError):
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

    def resume(self, job: Job[Payload]) -> None:
        """Let the model thread go on with a batch, before it forms another."""
        with self.wake:
            self._returned.append(job)
            self.wake.notify()

    def _fall(self, job: Job[Payload], error: BaseException, elapsed_s: float) -> None:
        why: Why = "load" if isinstance(error, Overloaded) else "failed"
        job.failed(error, why, elapsed_s, self._clock())

    def _release(self, job: Job[Payload]) -> None:
        """Free the place of a batch in flight."""
        with self.wake:
            job.has_place = False
            self.in_flight -= 1
            self.wake.notify()

    def _finish(self, job: Job[Payload], error: BaseException | None) -> None:
        if job.has_place:
            self._release(job)
        self.post(self._deliver, job, error)

    # ---- an I/O thread ----

    def _run_waiting(self, job: Job[Payload], stage: WaitingStage) -> None:
        assert job.batch is not None
        started_s = self._clock()
        try:
            batch = stage(job.batch)
        except BaseException as error:  # as on the model thread
            self._fall(job, error, self._clock() - started_s)
        else:
            now_s = self._clock()
            job.done(batch, now_s - started_s, now_s)
        self.resume(job)
