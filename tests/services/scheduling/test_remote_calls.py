"""Stages in another unit: calls that overlap, fail or hang."""

import asyncio

import pytest

from models.ragged import RaggedBatch
from services.errors import DeadlinePassed, StageFailed
from services.stages.base import AnyStage, RemoteStage
from tests.services.scheduling.bench import (
    BUDGET,
    Bench,
    Doubling,
    Named,
    check_own,
    in_loop,
    running,
)


def test_calls_to_another_unit_leave_the_thread_free_up_to_the_limit() -> None:
    async def scenario() -> None:
        calls: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

        async def call(batch: RaggedBatch) -> RaggedBatch:
            call_result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            calls.put_nowait(call_result)
            await call_result
            return batch.adding(candidates={"half": batch.rows})

        def after(batch: RaggedBatch) -> RaggedBatch:
            return batch.adding(candidates={"score": 2 * batch.candidates["half"]})

        stages: list[AnyStage] = [Doubling("before"), RemoteStage("away", call), Named("after", after)]
        with running(Bench(stages=stages, max_in_flight=2)) as bench:
            works = [bench.work(BUDGET) for _ in range(3)]
            tasks = [bench.submit(work) for work in works]
            first, second = await calls.get(), await calls.get()
            assert calls.empty()
            assert bench.runner.waiting_candidates == BUDGET
            second.set_result(None)
            third = await calls.get()
            third.set_result(None)
            first.set_result(None)
            for work, task in zip(works, tasks, strict=True):
                answer = await task
                check_own(work, answer)
                assert list(answer.timings_ms) == ["before", "away", "after"]
            await bench.settle()

    in_loop(scenario)


@pytest.mark.parametrize(
    "failure", [ConnectionError("replica died"), asyncio.CancelledError(), TimeoutError()]
)
def test_failed_or_cancelled_call_is_no_longer_in_flight(failure: BaseException) -> None:
    async def scenario() -> None:
        failures = [failure]

        async def call(batch: RaggedBatch) -> RaggedBatch:
            if failures:
                raise failures.pop()
            return batch.adding(candidates={"score": 2 * batch.rows})

        with running(Bench(stages=[RemoteStage("away", call)])) as bench:
            with pytest.raises(StageFailed, match="stage away failed"):
                await bench.runner.submit(bench.work(2))
            work = bench.work(3)
            check_own(work, await bench.runner.submit(work))
            await bench.settle()

    in_loop(scenario)


def test_failed_call_makes_room_for_waiting_work() -> None:
    async def scenario() -> None:
        away: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

        async def call(batch: RaggedBatch) -> RaggedBatch:
            call_result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            away.put_nowait(call_result)
            await call_result
            return batch.adding(candidates={"score": 2 * batch.rows})

        with running(Bench(stages=[RemoteStage("away", call)])) as bench:
            failing = bench.submit(bench.work(BUDGET))
            call_result = await away.get()
            work = bench.work(2)
            waiting = bench.submit(work)
            while not bench.runner.queue.sleeping:
                await asyncio.sleep(0)  # until the model thread sleeps, because its only call is in flight
            call_result.set_exception(ConnectionError("replica died"))
            with pytest.raises(StageFailed):
                await failing
            (await away.get()).set_result(None)
            check_own(work, await waiting)
            await bench.settle()

    in_loop(scenario)


def test_hanging_call_is_cancelled_at_its_last_deadline() -> None:
    async def scenario() -> None:
        hanging = [True]
        dropped = asyncio.Event()

        async def call(batch: RaggedBatch) -> RaggedBatch:
            if hanging.pop():
                try:
                    await asyncio.Event().wait()
                finally:
                    dropped.set()
                    hanging.append(False)
            return batch.adding(candidates={"score": 2 * batch.rows})

        with running(Bench(stages=[RemoteStage("away", call)])) as bench:
            task = bench.submit(bench.work(2, deadline_s=0.05))
            with pytest.raises(DeadlinePassed):
                await task
            await dropped.wait()
            work = bench.work(3)
            check_own(work, await bench.runner.submit(work))
            await bench.settle()

    in_loop(scenario)
