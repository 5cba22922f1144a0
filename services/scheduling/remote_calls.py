"""Calls to other units, on the event loop, and the requests that stop waiting for them.

Each request waits as long as the rung below could still serve it in time. Then it leaves the call and takes that rung.
The other requests continue to wait, and the call itself does not change. If no request waits any more, the call is
cancelled. After the horizon, which is the default deadline, a call no longer counts as in flight. So a request with a
long deadline does not delay the others.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from autoscale.serving_rules import call_until_s
from services.scheduling.deadlines import last_moment_s
from services.scheduling.job import Job
from services.scheduling.work_queue import WorkQueue
from services.stages.base import RemoteStage

Payload = TypeVar("Payload")
_REHEARSAL_LIMIT_S = 30.0
"""A rehearsal gives up a call after this time, and may send it again."""


class RemoteCalls(Generic[Payload]):
    """The executor's calls. For the event loop only, but other threads may read ``tasks``."""

    def __init__(
        self,
        queue: WorkQueue[Payload],
        *,
        rescues: bool,
        clock: Callable[[], float],
    ) -> None:
        """Prepare to make calls.

        Args:
            queue: the queue that the jobs return to.
            rescues: whether requests can be answered from memory.
            clock: the clock of all deadlines, in seconds.
        """
        self._queue, self._rescues, self._clock = queue, rescues, clock
        self._loop = asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, job: Job[Payload], stage: RemoteStage) -> None:
        """Start the call for the job's next stage."""
        task = self._loop.create_task(self._run(job, stage))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def cancel(self) -> None:
        """Cancel all calls."""
        for task in self.tasks:
            task.cancel()

    async def _run(self, job: Job[Payload], stage: RemoteStage) -> None:
        started_s, size, call = self._clock(), job.size, None
        try:
            assert job.batch is not None
            call = _Call(job, np.arange(len(job.batch)), self._patience_s(job, started_s))
            async with asyncio.timeout(None) as limit:
                self._wake_at_next(call, limit)
                batch = await stage.call(job.batch)
        except (
            Exception,
            asyncio.CancelledError,
        ) as error:  # the other unit, or its handle, may raise anything
            now_s = self._clock()
            if call is not None and limit.expired():
                job.abandoned(now_s - started_s, now_s, size=size)
            else:
                job.failed(error, now_s - started_s, now_s)
        else:
            now_s = self._clock()
            if len(call.waiting) < len(batch):
                batch = batch.take(call.waiting)
            job.done(batch, now_s - started_s, now_s, size=size)
        finally:
            if call is not None and call.timer is not None:
                call.timer.cancel()
        self._queue.resume(job)

    def _wake_at_next(self, call: "_Call[Payload]", limit: asyncio.Timeout) -> None:
        """Set the timer for the next event: requests that leave the call, or the horizon."""
        after_s = min(*call.patience_s, self._queue.horizon_s if call.job.in_flight else math.inf, math.inf)
        if after_s < math.inf:
            call.timer = self._loop.call_at(call.started_s + after_s, self._wake, call, limit, after_s)

    def _wake(self, call: "_Call[Payload]", limit: asyncio.Timeout, after_s: float) -> None:
        job = call.job
        leaving = [member for member, each_s in enumerate(call.patience_s) if each_s <= after_s]
        if len(leaving) == len(job.works):
            limit.reschedule(self._loop.time())
            return
        if leaving:
            call.waiting = np.delete(call.waiting, job.request_indices(leaving))
            call.patience_s = [each_s for each_s in call.patience_s if each_s > after_s]
            [leaving_job] = job.leave([leaving])
            leaving_job.use_rung_below("late")
            self._queue.resume(leaving_job)
        if after_s >= self._queue.horizon_s and job.in_flight:
            self._queue.release(job)
        self._wake_at_next(call, limit)

    def _patience_s(self, job: Job[Payload], now_s: float) -> list[float]:
        """Return how long each of the job's queue entries waits for the call.

        An entry waits for the call's expected time, or longer if the entry's deadline allows. If there is nothing else
        to try, all entries wait until the latest of their deadlines. Even a call that hangs ends then.
        """
        if job.rehearsed is not None:
            return [_REHEARSAL_LIMIT_S] * len(job.works)
        if not self._rescues and job.rung + 1 == len(job.ladder.rungs):
            return [max(work.deadline_s for work in job.works) - now_s] * len(job.works)
        size, rungs = job.size, job.ladder.rungs
        expected_s = rungs[job.rung].latency.expected_s(size)
        below_s = sum(rung.latency.expected_s(size) for rung in rungs[job.rung + 1 : job.rung + 2])
        below_s += job.reserve_s(now_s)
        moments_s = [last_moment_s(work) for work in job.works]
        return [call_until_s(moment_s, now_s, below_s, expected_s) - now_s for moment_s in moments_s]


class _Call(Generic[Payload]):
    """One call.

    Attributes:
        waiting: the batch indices of the requests that still wait.
        patience_s: for each queue entry with such requests, how many seconds after the start of the call it waits.
    """

    def __init__(
        self,
        job: Job[Payload],
        waiting: "np.ndarray[tuple[int], np.dtype[np.int64]]",
        patience_s: list[float],
    ) -> None:
        self.job, self.waiting, self.patience_s = job, waiting, patience_s
        self.started_s = asyncio.get_running_loop().time()
        self.timer: asyncio.TimerHandle | None = None
