"""An executor keeps nothing after a batch or an event loop ends."""

import asyncio
import gc
import threading
import weakref

from models.ragged import RaggedBatch
from services.scheduling.batcher import BatchingConfig
from services.scheduling.executor import Executor
from services.scheduling.work import Work
from services.scheduling.work_queue import WorkQueue
from tests.services.scheduling.bench import (
    FOREVER,
    LIMIT_S,
    Named,
    in_loop,
)
from tests.services.scheduling.queues import Team, make_queue, make_work, merge


def test_idle_executor_keeps_no_reference_to_its_last_batch() -> None:
    class Request:
        pass

    async def scenario() -> None:
        queue: WorkQueue[Request] = WorkQueue(BatchingConfig(), promises=False)
        done = asyncio.Event()
        executor: Executor[Request] = Executor(
            queue,
            merge=lambda payloads, release: merge([""] * len(payloads), release),
            ladders_of=lambda _release: [],
            on_done=lambda _job, _error: done.set(),
        )
        request = Request()
        queue.offer(Work(request, 1, 1, FOREVER, 0, "a", 0.0))
        await done.wait()
        reference = weakref.ref(request)
        del request
        while not queue.sleeping:
            await asyncio.sleep(0)
        gc.collect()
        assert reference() is None
        queue.close()
        executor.close()

    in_loop(scenario)


def test_executor_ends_if_its_event_loop_ended_first() -> None:
    queue, gate, entered = make_queue(), threading.Semaphore(0), threading.Event()

    def blocked(batch: RaggedBatch) -> RaggedBatch:
        entered.set()
        assert gate.acquire(timeout=LIMIT_S)
        return batch

    async def scenario() -> Team:
        team = Team(queue, 1, [Named("blocked", blocked)])
        queue.offer(make_work())
        while not entered.is_set():
            await asyncio.sleep(0)
        return team

    team = asyncio.run(scenario())
    gate.release()
    executor = team.executor
    executor.close()  # waits for the model thread, which ends although no one closed the queue
    assert (queue.is_closed, team.jobs) == (True, [])
