"""Several model threads at one work queue."""

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.job import Job
from services.scheduling.work import Work
from services.stages.base import AnyStage, WaitingStage
from tests.services.scheduling.bench import (
    BUDGET,
    LIMIT_S,
    Named,
)
from tests.services.scheduling.queues import Taker, make_queue, make_work, names, working


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
