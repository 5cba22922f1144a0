"""A batch's stages: stages that raise, and stages that wait for a socket."""

import asyncio
import threading

import numpy as np
import pytest
from msgspec.structs import replace

from models.ragged import RaggedBatch
from services.errors import DeadlinePassed, QueueFull, StageFailed
from services.scheduling.executor import Executor
from services.scheduling.job import Job
from services.scheduling.ladder import Ladder, Rung
from services.scheduling.work import Work
from services.stages.base import AnyStage, WaitingStage
from tests.services.scheduling.bench import (
    BUDGET,
    FOREVER,
    Bench,
    Doubling,
    Named,
    check_own,
    in_loop,
    running,
)
from tests.services.scheduling.queues import make_queue, make_work, merge, names, working


class Panic(BaseException):
    """An exception that is not an ``Exception``, as some native extensions raise it."""


@pytest.mark.parametrize("failure", [ValueError("bad weights"), Panic("native"), SystemExit(3)])
def test_failing_stage_fails_only_its_batch_and_the_thread_survives(failure: BaseException) -> None:
    async def scenario() -> None:
        stage = Doubling(failures=[failure])
        with running(Bench(stages=[stage])) as bench:
            with pytest.raises(StageFailed, match=r"stage double failed: .*") as caught:
                await bench.runner.submit(bench.work(2))
            assert caught.value.__cause__ is failure
            work = bench.work(3)
            check_own(work, await bench.runner.submit(work))
            await bench.settle()
            assert bench.metrics.batch_count == 1

    in_loop(scenario)


def test_failing_merge_or_unknown_release_fails_only_its_batch() -> None:
    async def scenario() -> None:
        bench = Bench(stages=[Doubling()], releases=["a"])
        bench.start()
        with pytest.raises(StageFailed, match="KeyError: 'b'"):
            await bench.runner.submit(bench.work(1, release="b"))
        with pytest.raises(StageFailed, match="stage merge failed: TypeError"):
            await bench.runner.submit(Work(None, 1, 1, FOREVER, 0, "a", 0.0))  # type: ignore[arg-type]
        work = bench.work(3)
        check_own(work, await bench.runner.submit(work))
        await bench.settle()
        bench.runner.close()

    in_loop(scenario)


def test_service_error_of_a_stage_reaches_the_caller_unchanged() -> None:
    async def scenario() -> None:
        refusal = QueueFull("the other unit is full", retry_after_s=7)
        with running(Bench(stages=[Doubling(failures=[refusal])])) as bench:
            with pytest.raises(QueueFull) as caught:
                await bench.runner.submit(bench.work(2))
            assert caught.value.retry_after_s == 7

    in_loop(scenario)


def test_begins_another_batch_while_one_waits_for_io() -> None:
    async def scenario() -> None:
        gate = threading.Semaphore(0)
        stages: list[AnyStage] = [WaitingStage(Doubling("io", gate)), Doubling("after")]
        with running(Bench(stages=stages, max_in_flight=2)) as bench:
            works = [bench.work(BUDGET), bench.work(BUDGET)]
            tasks = [bench.submit(work) for work in works]
            while len(bench.batches) < 2:  # the first batch is still at the gate
                await asyncio.sleep(0)
            gate.release(2)
            for work, answer in zip(works, await asyncio.gather(*tasks), strict=True):
                check_own(work, answer)
                assert list(answer.timings_ms) == ["io", "after"]
            await bench.settle()

    in_loop(scenario)


def test_failing_stage_that_waits_for_io_fails_only_its_batch() -> None:
    async def scenario() -> None:
        failing = Doubling("io", failures=[OSError("gone")])
        with running(Bench(stages=[WaitingStage(failing)])) as bench:
            with pytest.raises(StageFailed, match="stage io failed"):
                await bench.submit(bench.work(2))
            work = bench.work(3)
            check_own(work, await bench.submit(work))
            await bench.settle()

    in_loop(scenario)


# ---- without a runner ----


def test_job_is_delivered_on_the_event_loop_when_it_is_no_longer_in_flight() -> None:
    async def scenario() -> None:
        queue = make_queue()
        seen: list[tuple[int, int, BaseException | None]] = []
        done = asyncio.Event()

        def on_done(job: Job[str], error: BaseException | None) -> None:
            seen.append((threading.get_ident(), executor.batches_in_flight, error))
            done.set()

        executor = Executor(queue, merge=merge, ladders_of=lambda _release: [], on_done=on_done)
        queue.offer(make_work())
        await done.wait()
        assert seen == [(threading.get_ident(), 0, None)]
        queue.close()
        executor.close()

    in_loop(scenario)


def test_refuses_late_work_without_running_a_stage() -> None:
    async def scenario() -> None:
        queue = make_queue(clock=lambda: 1.0)
        entered: list[RaggedBatch] = []

        def stage(batch: RaggedBatch) -> RaggedBatch:
            entered.append(batch)
            return batch

        queue.offer(make_work("late", deadline_s=1.0))
        queue.offer(make_work("b"))
        with working(queue, 1, [Named("stage", stage)]) as team:
            await team.finish(2)
            assert [names(job) for job in team.jobs] == ["late", "b"]
            assert isinstance(team.errors[0], DeadlinePassed)
            assert (team.errors[1], len(entered)) == (None, 1)

    in_loop(scenario)


def test_requests_on_a_lower_rung_run_before_those_on_a_better_one() -> None:
    async def scenario() -> None:
        order: list[tuple[str, list[int]]] = []

        def noting(name: str) -> Named:
            def stage(batch: RaggedBatch) -> RaggedBatch:
                order.append((name, batch.rows.tolist()))
                return batch

            return Named(name, stage)

        rungs = [Rung("slow", noting("slow")), Rung("fast", noting("fast"))]
        for rung, taken_s in zip(rungs, (1.0, 0.1), strict=True):
            rung.done(8, taken_s, 0.0)
        queue = make_queue()
        done: asyncio.Queue[str] = asyncio.Queue()
        for name, deadline_s in (("a", 9.0), ("b", 0.5), ("c", 9.0)):
            queue.offer(make_work(name, size=1, deadline_s=deadline_s))
        executor: Executor[str] = Executor(
            queue,
            merge=lambda payloads, release: replace(
                merge(payloads, release), rows=np.array([ord(name) for name in payloads])
            ),
            ladders_of=lambda _release: [Ladder("rank", rungs)],
            on_done=lambda job, _error: done.put_nowait(names(job)),
            memory=lambda payloads, release, _why: merge(payloads, release),
            clock=lambda: 0.0,
        )
        assert [await done.get(), await done.get()] == ["b", "ac"]
        assert order == [("fast", [ord("b")]), ("slow", [ord("a"), ord("c")])]
        queue.close()
        executor.close()

    in_loop(scenario)
