"""A runner's futures: requests that wait, leave, are late, or arrive after the end."""

import asyncio
import threading

import pytest

from services.errors import DeadlinePassed, Overloaded, QueueFull
from services.scheduling.batcher import BatchingConfig
from tests.services.scheduling.bench import (
    BUDGET,
    Bench,
    Doubling,
    check_own,
    entered_event,
    in_loop,
    running,
)


def test_idle_runner_answers_at_once_and_then_merges_waiting_requests() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        with running(Bench(stages=[stage])) as bench:
            entered = entered_event(stage)
            works = [bench.work(2), bench.work(3), bench.work(4, 1)]
            first = bench.submit(works[0])
            await entered.wait()
            others = [bench.submit(work) for work in works[1:]]
            await asyncio.sleep(0)
            assert bench.runner.waiting_candidates == 8
            assert stage.gate is not None
            stage.gate.release(2)
            for work, answer in zip(works, [await first, *[await other for other in others]], strict=True):
                check_own(work, answer)
            await bench.settle()
            assert [len(payloads) for _, payloads in bench.batches] == [1, 2]
            assert (bench.metrics.batch_count, bench.metrics.candidate_count) == (2, 10)

    in_loop(scenario)


def test_cancelled_request_in_a_batch_still_advances_the_index() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        with running(Bench(stages=[stage])) as bench:
            entered = entered_event(stage)
            works = [bench.work(3), bench.work(1, 2), bench.work(4)]
            blocker = bench.submit(bench.work(BUDGET))
            await entered.wait()
            entered.clear()
            tasks = [bench.submit(work) for work in works]
            await asyncio.sleep(0)
            assert stage.gate is not None
            stage.gate.release()
            await blocker
            await entered.wait()  # all three are in the batch now
            tasks[1].cancel()
            stage.gate.release()
            check_own(works[0], await tasks[0])
            check_own(works[2], await tasks[2])
            assert tasks[1].cancelled()
            await bench.settle()

    in_loop(scenario)


def test_work_cancelled_in_the_queue_is_never_computed() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        with running(Bench(stages=[stage])) as bench:
            entered = entered_event(stage)
            blocker = bench.submit(bench.work(BUDGET))
            await entered.wait()
            task = bench.submit(bench.work(5))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert bench.runner.waiting_candidates == 0
            assert stage.gate is not None
            stage.gate.release()
            await blocker
            await bench.settle()
            assert len(bench.batches) == 1

    in_loop(scenario)


def test_counts_arrivals_and_refusals_before_the_queue_in_it_and_in_a_batch() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        limit = BatchingConfig(max_candidates=BUDGET, max_waiting_candidates=8)
        with running(Bench(stages=[stage], batching=limit)) as bench:
            entered = entered_event(stage)
            in_batch = bench.submit(bench.work(1, deadline_s=1.0))
            await entered.wait()
            queued = bench.submit(bench.work(3, 3, deadline_s=1.0))
            await asyncio.sleep(0)
            with pytest.raises(QueueFull):
                await bench.runner.submit(bench.work(4))
            assert (bench.metrics.arrived_requests, bench.metrics.shed_requests) == (4, 1)
            bench.now_s = 2.0
            for task in (in_batch, queued):
                with pytest.raises(DeadlinePassed):
                    await task
            assert (bench.metrics.arrived_requests, bench.metrics.shed_requests) == (4, 4)
            assert bench.metrics.arrived_candidates == 11
            assert stage.gate is not None
            stage.gate.release()
            await bench.settle()

    in_loop(scenario)


def test_work_in_the_queue_and_in_a_batch_is_answered_when_its_deadline_passes() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        with running(Bench(stages=[stage])) as bench:
            entered = entered_event(stage)
            in_batch = bench.submit(bench.work(BUDGET, deadline_s=1.0))
            await entered.wait()
            queued = bench.submit(bench.work(4, deadline_s=2.0))
            await asyncio.sleep(0)
            bench.now_s = 3.0
            for task in (in_batch, queued):
                with pytest.raises(DeadlinePassed) as late:
                    await task
                assert late.value.retry_after_s == 1
            # The thread is still busy, but expired works take no room in the queue.
            assert bench.runner.waiting_candidates == 0
            assert stage.gate is not None
            stage.gate.release()
            await bench.settle()
            with pytest.raises(DeadlinePassed):
                await bench.runner.submit(bench.work(1, deadline_s=2.5))

    in_loop(scenario)


def test_close_refuses_waiting_and_later_requests() -> None:
    async def scenario() -> None:
        gate = threading.Semaphore(0)
        stage = Doubling(gate=gate)
        bench = Bench(stages=[stage])
        bench.start()
        entered = entered_event(stage)
        tasks = [bench.submit(bench.work(BUDGET)), bench.submit(bench.work(2))]
        await entered.wait()
        gate.release(2)
        bench.runner.close()
        bench.runner.close()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[1], Overloaded)
        with pytest.raises(Overloaded):
            await bench.runner.submit(bench.work(1))

    in_loop(scenario)


def test_runner_is_idle_if_no_work_waits_or_runs_and_no_caller_waits() -> None:
    async def scenario() -> None:
        stage = Doubling(gate=threading.Semaphore(0))
        with running(Bench(stages=[stage])) as bench:
            idle = [bench.runner.is_idle]
            entered = entered_event(stage)
            in_batch = bench.submit(bench.work(BUDGET))
            await entered.wait()
            assert bench.runner.batches_in_flight == 1
            in_batch.cancel()
            await asyncio.gather(in_batch, return_exceptions=True)
            idle.append(bench.runner.is_idle)  # the batch is still running
            waiting = bench.submit(bench.work(1))
            await asyncio.sleep(0)
            assert stage.gate is not None
            stage.gate.release(2)
            await waiting
            await bench.settle()
            idle.append(bench.runner.is_idle)
            rehearsal = asyncio.create_task(bench.runner.rehearse([bench.work(1)], 0))
            await asyncio.sleep(0)
            idle.append(bench.runner.is_idle)  # a rehearsal is not in flight, but a caller waits for it
            stage.gate.release()
            await rehearsal
            idle.append(bench.runner.is_idle)
            assert idle == [True, False, True, False, True]

    in_loop(scenario)
