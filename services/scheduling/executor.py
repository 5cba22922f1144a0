"""The executor takes batches from the work queue, runs their stages, and passes the results on.

Each kind of stage runs in its own place:

- Synchronous stages run on a model thread: the only one, or one of several if a model has several instances.
- A ``RemoteStage`` is awaited on the event loop.
- A ``WaitingStage`` blocks on a socket and runs on an I/O thread, which saves the loop two wake-ups per batch.

After the loop or an I/O thread, a batch returns to any model thread for its next stage. The batches in flight are
bounded. If a stage fails or would be late for a request, the request gets the next rung. If no rung is left, the
request is answered from memory.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from models.ragged import RaggedBatch
from models.runtimes.pytorch.cuda_streams import use_own_stream
from services.errors import RequestError
from services.scheduling.deadlines import too_late
from services.scheduling.job import Job
from services.scheduling.ladder import Ladder, Rung
from services.scheduling.remote_calls import RemoteCalls
from services.scheduling.work_queue import WorkQueue
from services.stages.base import RemoteStage, WaitingStage, Why

Payload = TypeVar("Payload")
Payload_contra = TypeVar("Payload_contra", contravariant=True)


class Memory(Protocol[Payload_contra]):
    """Answers from data in memory, without a stage or a store. Any thread may call it."""

    def __call__(self, payloads: Sequence[Payload_contra], release: str, why: Why, /) -> RaggedBatch:
        """Return a finished batch for these requests, marked as degraded because of ``why``."""
        ...


class Executor(Generic[Payload]):
    """The model threads, with the I/O threads and the calls to other units."""

    def __init__(
        self,
        queue: WorkQueue[Payload],
        *,
        merge: Callable[[Sequence[Payload], str], RaggedBatch],
        ladders_of: Callable[[str], Sequence[Ladder]],
        on_done: "Callable[[Job[Payload], BaseException | None], None]",
        threads: int = 1,
        memory: "Memory[Payload] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the model threads. Call this on the event loop.

        Args:
            queue: the queue to take batches from.
            merge: merges payloads for one release into a ragged batch.
            ladders_of: returns a release's ladders, one per stage.
            on_done: called on the event loop with a finished job, and with the job's error or None.
            threads: the number of model threads. They take batches from the one queue and may finish them in any order.
            memory: answers requests that no rung can serve. With None, they get an error.
            clock: the clock of all deadlines, in seconds.
        """
        self._queue = queue
        self._merge, self._ladders_of, self._memory = merge, ladders_of, memory
        self._on_done, self._clock = on_done, clock
        self._loop = asyncio.get_running_loop()
        self._calls = RemoteCalls(queue, rescues=memory is not None, clock=clock)
        # The pool starts threads only when it needs them.
        self._io = ThreadPoolExecutor(queue.admission.max_in_flight, thread_name_prefix="io")
        self._threads = [
            threading.Thread(target=self._work, name=name, daemon=True)
            for name in (["model"] if threads == 1 else [f"model-{number}" for number in range(threads)])
        ]
        for thread in self._threads:
            thread.start()

    @property
    def batches_in_flight(self) -> int:
        """The number of unfinished batches, except calls that have taken longer than the default deadline."""
        return self._queue.in_flight

    @property
    def calls_in_flight(self) -> int:
        """The number of unfinished calls to other units."""
        return len(self._calls.tasks)

    def run(self, job: Job[Payload]) -> None:
        """Run a job that does not come from the queue."""
        self._queue.resume(job)

    def close(self) -> None:
        """Wait until the model threads have finished their present batches. Close the queue first."""
        for thread in self._threads:
            thread.join()
        self._io.shutdown()
        self._calls.cancel()

    # ---- a model thread ----

    def _work(self) -> None:
        if len(self._threads) > 1:
            use_own_stream()
        while (job := self._queue.take()) is not None:
            if job.is_late:
                self._finish(job, too_late())
            else:
                self._run(job)
            del job  # otherwise an idle thread would keep the batch and its release in memory

    def _run(self, job: Job[Payload]) -> None:
        try:
            self._advance(job)
        except BaseException as error:  # a stage may raise anything, and only its own batch gets the error
            self._last_resort(job, error)

    def _advance(self, job: Job[Payload]) -> None:
        if job.batch is None:
            job.ladders = self._ladders_of(job.release)
        while job.next_stage < len(job.ladders):
            leaving = self._choose(job)
            rung = job.next_rung
            try:
                batch = None if rung is None else self._begin(job, rung)
            finally:
                # The leaving jobs run first on this thread, because they have less time.
                for leaving_job in leaving:
                    self._run(leaving_job)
            if rung is None:
                self._last_resort(job, job.error)
                return
            if batch is None or isinstance(rung.stage, RemoteStage):
                return
            started_s = self._clock()
            try:
                batch = rung.stage(batch)
            except BaseException as error:
                now_s = self._clock()
                job.failed(error, now_s - started_s, now_s)
                continue
            now_s = self._clock()
            job.done(batch, now_s - started_s, now_s)
        self._finish(job, None)

    def _choose(self, job: Job[Payload]) -> Sequence[Job[Payload]]:
        """Choose the rung for the job's next stage. Return the requests that need a lower rung as new jobs."""
        count = len(job.ladder.rungs)
        if job.rehearsed is not None:
            job.rung = count if job.error is not None else min(job.rehearsed, count - 1)
        elif self._memory is not None and not job.is_settled and job.rung < count:
            now_s = self._clock()
            return job.settle(self._queue.share_s(job.works[0].priority, now_s), now_s)
        return ()

    def _begin(self, job: Job[Payload], rung: Rung) -> RaggedBatch | None:
        """Return the batch if the stage runs on this thread. Otherwise start the stage elsewhere and return None."""
        if job.batch is None:
            job.batch = self._merge([work.payload for work in job.works], job.release)
        if isinstance(rung.stage, RemoteStage):
            self._post(self._calls.start, job, rung.stage)
            return None
        if isinstance(rung.stage, WaitingStage):
            self._io.submit(self._run_waiting, job, rung.stage)
            return None
        return job.batch

    def _last_resort(self, job: Job[Payload], error: BaseException | None) -> None:
        """Answer the batch from memory. If that is impossible, answer it with ``error``."""
        if error is not None:
            error = job.failure(error)
        if self._memory is not None and job.rehearsed is None and not isinstance(error, RequestError):
            if job.batch is None and job.why == "load":
                self._queue.widen(job)
            started_s = self._clock()
            try:
                payloads = [work.payload for work in job.works]
                job.batch = self._memory(payloads, job.release, job.why or "failed")
                job.is_degraded = True
                job.timings_ms["memory"] = (self._clock() - started_s) * 1e3
                error = None
            except BaseException as memory_error:
                error = error or job.failure(memory_error)
        self._finish(job, error)

    def _finish(self, job: Job[Payload], error: BaseException | None) -> None:
        if job.in_flight:
            self._queue.release(job)
        self._post(self._on_done, job, error)

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        """Run ``callback`` on the event loop."""
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop closed first, so nobody waits for the answer any more
            self._queue.close()

    # ---- an I/O thread ----

    def _run_waiting(self, job: Job[Payload], stage: WaitingStage) -> None:
        assert job.batch is not None
        started_s = self._clock()
        try:
            batch = stage(job.batch)
        except BaseException as error:  # a stage may raise anything, as on the model thread
            now_s = self._clock()
            job.failed(error, now_s - started_s, now_s)
        else:
            now_s = self._clock()
            job.done(batch, now_s - started_s, now_s)
        self._queue.resume(job)
