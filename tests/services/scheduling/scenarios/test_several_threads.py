"""Several model threads at one work queue."""

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.errors import StageFailed
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.job import Answer, Job
from services.scheduling.work import Work
from services.stages.base import AnyStage, WaitingStage
from tests.services.scheduling.bench import (
    BUDGET,
    LIMIT_S,
    Bench,
    Named,
    check_own,
    in_loop,
    running,
)
from tests.services.scheduling.queues import Taker, Team, make_queue, make_work, names, working


def test_work_beyond_the_batches_in_flight_wakes_no_thread() -> None:
    queue = make_queue(max_in_flight=1)
    busy, idle = Taker(queue), Taker(queue)
    queue.offer(make_work("a"))
    busy.begin()
    job = busy.wait_for_job()
    assert job is not None
    idle.sleep()
    queue.offer(make_work("b"))
    assert queue.sleeping == 1
    queue.release(job)
    assert names(idle.wait_for_job()) == "b"
    queue.close()


def test_thread_that_takes_a_batch_wakes_another_for_the_rest() -> None:
    for _ in range(20):
        queue = make_queue(max_in_flight=3)
        first, second, third = (Taker(queue) for _ in range(3))
        queue.offer(make_work("a"))
        first.begin()
        job = first.wait_for_job()
        assert job is not None
        second.sleep()
        third.sleep()
        queue.offer(make_work("b"))  # wakes one thread
        queue.resume(job)  # and this the other
        assert sorted([names(second.wait_for_job()), names(third.wait_for_job())]) == ["a", "b"]
        queue.close()


def test_another_thread_continues_a_batch_if_its_first_thread_is_busy() -> None:
    queue = make_queue(max_in_flight=2)
    first, second = Taker(queue), Taker(queue)
    queue.offer(make_work("a"))
    first.begin()
    job = first.wait_for_job()
    assert job is not None
    second.sleep()
    queue.resume(job)
    assert second.wait_for_job() is job
    queue.close()


works = st.tuples(
    st.integers(1, 14),
    st.integers(-1, 1),
    st.sampled_from([0.5, 2.0, 5.0, 50.0]),
    st.sampled_from("ab"),
)
steps = st.one_of(
    st.tuples(st.just("offer"), works),
    st.tuples(st.just("take"), st.integers(0, 3)),
    st.tuples(st.just("finish"), st.integers(0, 30)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("later"), st.sampled_from([0.1, 1.0])),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(steps, max_size=60), max_in_flight=st.integers(1, 8))
def test_batches_are_the_same_however_many_are_in_flight(
    steps: list[tuple[object, ...]], max_in_flight: int
) -> None:
    now_s = 0.0
    queue = make_queue(max_in_flight=max_in_flight, clock=lambda: now_s)
    reference: Batcher[str] = Batcher(BatchingConfig(max_candidates=BUDGET))
    offered: list[tuple[Work[str], Work[str]]] = []
    running: list[Job[str]] = []
    payloads: list[str] = []
    for step in steps:
        match step:
            case ("offer", (int(size), int(priority), float(wait_s), str(release))):
                name, until_s = f"{len(offered)},", now_s + wait_s
                pair = (
                    make_work(name, size=size, priority=priority, deadline_s=until_s, release=release),
                    make_work(name, size=size, priority=priority, deadline_s=until_s, release=release),
                )
                queue.offer(pair[0])
                reference.offer(pair[1])
                offered.append(pair)
            case ("take", _):
                if len(running) == max_in_flight or queue.is_empty:
                    continue  # the thread would sleep
                expected = reference.take(now_s)
                jobs = [queue.take() for group in (expected.late, expected.batch) if group]
                assert [names(job) for job in jobs] == [
                    "".join(work.payload for work in group)
                    for group in (expected.late, expected.batch)
                    if group
                ]
                running += [job for job in jobs if job is not None and not job.is_late]
                payloads += [work.payload for job in jobs if job is not None for work in job.works]
            case ("finish", int(index)) if running:
                queue.release(running.pop(index % len(running)))
            case ("cancel", int(index)) if offered:
                pair = offered[index % len(offered)]
                queue.cancel(pair[0])
                reference.cancel(pair[1])
            case ("later", float(later_s)):
                now_s += later_s
    assert len(payloads) == len(set(payloads))
    assert queue.waiting_candidates == reference.waiting_candidates
    assert queue.in_flight == len(running)


@settings(max_examples=40, deadline=None)
@given(before=st.lists(works, max_size=30), after=st.lists(works, max_size=15), threads=st.integers(1, 4))
def test_concurrent_threads_take_each_work_once_in_order_of_urgency(
    before: list[tuple[int, int, float, str]], after: list[tuple[int, int, float, str]], threads: int
) -> None:
    queue = make_queue(max_in_flight=threads)
    asked: list[int] = []
    everything: list[Work[str]] = []

    def offer(size: int, priority: int, wait_s: float, release: str) -> None:
        index = len(everything)
        work = make_work(str(index), size=size, priority=priority, deadline_s=wait_s, release=release)
        # The batcher calls this just before it takes a work, while it holds the lock.
        work.is_abandoned = lambda: bool(asked.append(index))  # type: ignore[func-returns-value]
        everything.append(work)
        queue.offer(work)

    async def scenario() -> list[Job[str]]:
        for each in before:
            offer(*each)
        with working(queue, threads) as team:
            for each in after:
                offer(*each)
            await team.finish(len(everything))
            assert team.errors == [None] * len(team.jobs)
            return team.jobs

    jobs = asyncio.run(scenario())
    numbers = [int(work.payload) for job in jobs for work in job.works]
    assert sorted(numbers) == list(range(len(everything)))
    # A work that did not fit is asked again for the next batch.
    order = list(dict.fromkeys(reversed(asked)))[::-1]
    for release in "ab":
        early = [index for index in order if index < len(before) and before[index][3] == release]
        assert early == sorted(early, key=lambda index: (-before[index][1], before[index][2], index))
    for job in jobs:
        sizes = [work.candidate_count for work in job.works]
        assert sum(sizes) <= BUDGET or len(sizes) == 1
        assert len({work.release for work in job.works}) == 1


@pytest.mark.parametrize("threads", [2, 4])
def test_as_many_batches_run_concurrently_as_there_are_threads(threads: int) -> None:
    queue = make_queue(max_in_flight=threads)
    meeting = threading.Barrier(threads, timeout=LIMIT_S)  # times out if a batch waits while a thread sleeps

    def meet(batch: RaggedBatch) -> RaggedBatch:
        meeting.wait()
        return batch

    async def scenario() -> None:
        stages: list[AnyStage] = [WaitingStage(Named("io", lambda batch: batch)), Named("meet", meet)]
        with working(queue, threads, stages) as team:
            for _ in range(20 * threads):
                queue.offer(make_work())
                await asyncio.sleep(0)
            await team.finish(20 * threads)
            assert team.errors == [None] * 20 * threads

    asyncio.run(scenario())


def test_batches_may_finish_in_another_order_than_they_began() -> None:
    async def scenario() -> None:
        gates = {"a": threading.Semaphore(0), "b": threading.Semaphore(0)}
        entered = {name: threading.Event() for name in gates}

        def held(batch: RaggedBatch) -> RaggedBatch:
            entered[batch.release].set()
            assert gates[batch.release].acquire(timeout=LIMIT_S)
            return batch.adding(candidates={"score": 2 * batch.rows})

        with running(Bench(stages=[Named("held", held)], threads=2)) as bench:
            old, new = bench.work(3, release="a"), bench.work(4, release="b")
            first, second = bench.submit(old), bench.submit(new)
            for name in gates:
                assert await asyncio.to_thread(entered[name].wait, LIMIT_S)
            gates["b"].release()
            check_own(new, await second)
            assert not first.done()
            gates["a"].release()
            check_own(old, await first)
            await bench.settle()

    in_loop(scenario)


def test_failing_stage_fails_only_the_batch_of_its_own_thread() -> None:
    async def scenario() -> None:
        meeting = threading.Barrier(2, timeout=LIMIT_S)

        def stage(batch: RaggedBatch) -> RaggedBatch:
            meeting.wait()  # both threads are in the stage
            if batch.release == "b":
                raise MemoryError("no room")
            return batch.adding(candidates={"score": 2 * batch.rows})

        with running(Bench(stages=[Named("stage", stage)], threads=2)) as bench:
            for _ in range(3):  # a thread goes on after a failure
                good, bad = bench.work(2, release="a"), bench.work(2, release="b")
                answers = await asyncio.gather(bench.submit(good), bench.submit(bad), return_exceptions=True)
                assert isinstance(answers[0], Answer)
                check_own(good, answers[0])
                assert isinstance(answers[1], StageFailed)
            await bench.settle()

    in_loop(scenario)


def test_closing_waits_for_the_batch_of_every_thread_and_refuses_the_rest() -> None:
    async def scenario() -> None:
        gate, inside = threading.Semaphore(0), threading.Semaphore(0)

        def held(batch: RaggedBatch) -> RaggedBatch:
            inside.release()
            assert gate.acquire(timeout=LIMIT_S)
            return batch

        queue = make_queue(max_in_flight=3)
        team = Team(queue, 3, [Named("held", held)])
        for _ in range(5):
            queue.offer(make_work())
        for _ in range(3):
            assert await asyncio.to_thread(inside.acquire, timeout=LIMIT_S)
        queue.close()
        closing = asyncio.create_task(asyncio.to_thread(team.executor._threads[0].join))
        assert queue.in_flight == 3
        gate.release(3)
        team.executor.close()
        await closing
        await team.finish(3)
        assert (len(team.jobs), queue.in_flight, queue.waiting_candidates) == (3, 0, 2 * BUDGET)

    in_loop(scenario)


def test_most_urgent_batch_goes_to_the_thread_that_is_free_first() -> None:
    async def scenario() -> None:
        gates = [threading.Semaphore(0) for _ in range(2)]
        free = list(gates)
        order: list[str] = []
        inside = threading.Semaphore(0)

        def held(batch: RaggedBatch) -> RaggedBatch:
            if free:
                gate = free.pop()
                inside.release()
                assert gate.acquire(timeout=LIMIT_S)
            return batch

        queue = make_queue(max_in_flight=2)
        with working(queue, 2, [Named("held", held)]) as team:
            for name in "xy":
                queue.offer(make_work(name))
                assert await asyncio.to_thread(inside.acquire, timeout=LIMIT_S)
            for name, priority, deadline_s in (
                ("c", 0, 90.0),
                ("b", 0, 50.0),
                ("d", -1, 20.0),
                ("a", 1, 95.0),
            ):
                queue.offer(make_work(name, priority=priority, deadline_s=deadline_s))
            gates[0].release()  # one thread stays busy
            await team.finish(5)
            order = [names(job) for job in team.jobs]
            gates[1].release()
            await team.finish(6)
        assert order[1:] == ["a", "b", "c", "d"]

    in_loop(scenario)
