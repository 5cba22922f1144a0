"""The work queue: its limit, and the order in which work leaves it."""

import asyncio
import threading

import pytest

from services.errors import QueueFull
from services.scheduling.batcher import BatchingConfig
from tests.services.scheduling.bench import (
    BUDGET,
    FOREVER,
    Bench,
    Doubling,
    entered_event,
    in_loop,
    running,
)


def test_past_the_queue_limit_work_is_refused_at_once() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        limit = BatchingConfig(max_candidates=BUDGET, max_waiting_candidates=8)
        with running(Bench(stages=[stage], batching=limit)) as bench:
            entered = entered_event(stage)
            running_one = bench.submit(bench.work(1))
            await entered.wait()
            waiting = bench.submit(bench.work(8))
            await asyncio.sleep(0)
            with pytest.raises(QueueFull):
                await bench.runner.submit(bench.work(1))
            assert stage.gate is not None
            stage.gate.release(2)
            await asyncio.gather(running_one, waiting)
            await bench.settle()

    in_loop(scenario)


def test_priorities_and_deadlines_decide_the_order_of_answers() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        with running(Bench(stages=[stage])) as bench:
            entered = entered_event(stage)
            blocker = bench.submit(bench.work(BUDGET))
            await entered.wait()
            order: list[str] = []

            async def ask(name: str, **how: float) -> None:
                deadline_s, priority = how.get("deadline_s", FOREVER), int(how.get("priority", 0))
                await bench.runner.submit(bench.work(BUDGET, deadline_s=deadline_s, priority=priority))
                order.append(name)

            tasks = [
                asyncio.create_task(ask("last", priority=-1)),
                asyncio.create_task(ask("second", deadline_s=5.0)),
                asyncio.create_task(ask("third", deadline_s=9.0)),
                asyncio.create_task(ask("first", priority=3)),
            ]
            await asyncio.sleep(0)
            assert stage.gate is not None
            stage.gate.release(5)
            await asyncio.gather(blocker, *tasks)
            assert order == ["first", "second", "third", "last"]

    in_loop(scenario)
