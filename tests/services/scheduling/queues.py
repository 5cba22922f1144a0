"""Work queues for tests, and threads that take work from them."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from models.ragged import RaggedBatch, offsets_of
from services.scheduling.batcher import BatchingConfig
from services.scheduling.executor import Executor
from services.scheduling.job import Job
from services.scheduling.ladder import Ladder
from services.scheduling.work import Work
from services.scheduling.work_queue import WorkQueue
from services.stages.base import AnyStage
from tests.services.scheduling.bench import BUDGET, LIMIT_S


def make_queue(
    *, promises: bool = True, max_in_flight: int = 1, clock: Callable[[], float] = lambda: 0.0
) -> WorkQueue[str]:
    """Return a queue whose clock stands still."""
    return WorkQueue(
        BatchingConfig(max_candidates=BUDGET),
        promises=promises,
        max_in_flight=max_in_flight,
        horizon_s=10.0,
        clock=clock,
    )


def make_work(
    name: str = "w", *, size: int = BUDGET, deadline_s: float = 100.0, priority: int = 0, release: str = "a"
) -> Work[str]:
    return Work(name, size, 1, deadline_s, priority, release, 0.0)


def names(job: "Job[str] | None") -> str:
    assert job is not None
    return "".join(work.payload for work in job.works)


class Taker:
    """A thread that takes one job whenever the test asks, as a model thread does."""

    def __init__(self, work_queue: WorkQueue[str]) -> None:
        self._queue = work_queue
        self._turns: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._taken: queue.SimpleQueue[Job[str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Let the thread take one job."""
        self._turns.put(True)

    def sleep(self) -> None:
        """Let the thread take one job, and wait until it sleeps."""
        sleeping = self._queue.sleeping
        self.begin()
        until_s = time.monotonic() + LIMIT_S
        while self._queue.sleeping == sleeping:
            assert time.monotonic() < until_s
            time.sleep(0)

    def wait_for_job(self) -> "Job[str] | None":
        """Wait for the job that the thread takes, and return it."""
        return self._taken.get(timeout=LIMIT_S)

    def _work(self) -> None:
        while self._turns.get():
            job = self._queue.take()
            self._taken.put(job)
            if job is None:
                return


class Team:
    """An executor with several model threads, and the jobs that they finished with their errors."""

    def __init__(self, work_queue: WorkQueue[str], threads: int, stages: Sequence[AnyStage]) -> None:
        self.jobs: list[Job[str]] = []
        self.errors: list[BaseException | None] = []
        self._done = asyncio.Event()
        self._queue = work_queue
        self.executor = Executor(
            work_queue,
            merge=merge,
            ladders_of=lambda _release: [Ladder.from_stage(stage) for stage in stages],
            on_done=self._on_done,
            threads=threads,
            clock=lambda: 0.0,
        )

    async def finish(self, works: int) -> None:
        """Wait until ``works`` works are done."""
        async with asyncio.timeout(LIMIT_S):
            while sum(len(job.works) for job in self.jobs) < works:
                self._done.clear()
                await self._done.wait()

    def _on_done(self, job: Job[str], error: BaseException | None) -> None:
        self.jobs.append(job)
        self.errors.append(error)
        self._done.set()


@contextmanager
def working(work_queue: WorkQueue[str], threads: int, stages: Sequence[AnyStage] = ()) -> Iterator[Team]:
    """Let model threads take from the queue. End them and the queue afterwards."""
    team = Team(work_queue, threads, stages)
    try:
        yield team
    finally:
        work_queue.close()
        team.executor.close()


def merge(payloads: Sequence[str], release: str) -> RaggedBatch:
    count = len(payloads)
    return RaggedBatch(
        offsets=offsets_of(np.ones(count)), rows=np.arange(count, dtype=np.int64), release=release
    )
