"""The work queue: its limit, and the order in which work leaves it."""

import asyncio
import threading

import pytest

from services.errors import Overloaded, QueueFull
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
from tests.services.scheduling.queues import Taker, make_queue, make_work, names


def test_refuses_work_over_the_limit_at_once() -> None:
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


def test_answers_in_order_of_priority_and_deadline() -> None:
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


def test_late_work_is_a_separate_job_and_not_a_batch_in_flight() -> None:
    queue = make_queue(clock=lambda: 5.0)
    for name, deadline_s in (("a", 6.0), ("b", 7.0), ("c", 8.0)):
        queue.offer(make_work(name, size=1, deadline_s=deadline_s))
    queue.offer(make_work("d", size=1, deadline_s=5.0))
    late, batch = queue.take(), queue.take()
    assert (names(late), names(batch)) == ("d", "abc")
    assert late is not None
    assert batch is not None
    assert (late.is_late, late.in_flight, batch.is_late, batch.in_flight) == (True, False, False, True)
    assert (queue.in_flight, queue.is_empty) == (1, True)


def test_work_without_promised_answer_is_late_if_a_batch_takes_longer_than_its_time() -> None:
    queue = make_queue(promises=False)
    queue.offer(make_work("a", size=1, deadline_s=3.0))
    queue.offer(make_work("b", size=1, deadline_s=9.0))
    queue.admission.seconds_per_batch = 4.0
    assert (names(queue.take()), names(queue.take())) == ("a", "b")


def test_resumed_job_goes_before_waiting_work() -> None:
    queue = make_queue(max_in_flight=2)
    queue.offer(make_work("a"))
    job = queue.take()
    assert job is not None
    queue.offer(make_work("b"))
    queue.resume(job)
    assert [names(queue.take()) for _ in range(2)] == ["a", "b"]


def test_job_answered_from_memory_includes_waiting_work_of_its_release() -> None:
    now_s = 0.0
    queue = make_queue(clock=lambda: now_s)
    for index in range(10):
        queue.offer(make_work(str(index)))
    for name, release, deadline_s in (("x", "b", 100.0), ("y", "a", 5.0)):
        queue.offer(make_work(name, release=release, deadline_s=deadline_s))
    job = queue.take()
    assert names(job) == "y"
    assert job is not None
    queue.offer(make_work("z", deadline_s=5.0))
    now_s = 6.0
    queue.widen(job)
    assert (names(job), job.size) == ("y0123456", 8 * BUDGET)
    late = queue.take()
    assert names(late) == "z"
    queue.release(job)
    assert [names(queue.take())] == ["7"]


def test_admission_counts_all_batches_that_may_be_in_flight() -> None:
    refused = []
    for max_in_flight in (2, 4):
        queue = make_queue(max_in_flight=max_in_flight)
        queue.admission.seconds_per_batch = 1.0
        for _ in range(20):
            queue.offer(make_work(deadline_s=1000.0))
        # Twenty batches of one second, two or four in flight, and three quarters of the time are for them.
        refused.append([deadline_s for deadline_s in (6.0, 7.0, 13.0, 14.0) if queue.refusal(-1, deadline_s)])
    assert refused == [[6.0, 7.0, 13.0], [6.0]]


def test_closed_queue_refuses_work_and_ends_every_model_thread() -> None:
    queue = make_queue()
    takers = [Taker(queue) for _ in range(3)]
    for taker in takers:
        taker.sleep()
    queue.close()
    queue.close()
    assert [taker.wait_for_job() for taker in takers] == [None] * 3
    with pytest.raises(Overloaded, match="this replica is stopping"):
        queue.offer(make_work())
