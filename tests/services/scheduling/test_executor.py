"""The stages of a batch: what becomes of those that raise, and those that wait for a socket."""

import asyncio
import threading

import pytest

from services.errors import QueueFull, StageFailed
from services.scheduling.work import Work
from services.stages.base import AnyStage, WaitingStage
from tests.services.scheduling.bench import (
    BUDGET,
    FOREVER,
    Bench,
    Doubling,
    check_own,
    in_loop,
    running,
)


class Panic(BaseException):
    """What some native extensions raise: not an Exception."""


@pytest.mark.parametrize("failure", [ValueError("bad weights"), Panic("native"), SystemExit(3)])
def test_a_stage_that_raises_fails_its_batch_alone_and_the_thread_lives(failure: BaseException) -> None:
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


def test_a_merge_or_an_unknown_release_that_raises_fails_its_batch_alone() -> None:
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


def test_a_service_error_of_a_stage_reaches_the_caller_as_it_is() -> None:
    async def scenario() -> None:
        refusal = QueueFull("the other unit is full", retry_after_s=7)
        with running(Bench(stages=[Doubling(failures=[refusal])])) as bench:
            with pytest.raises(QueueFull) as caught:
                await bench.runner.submit(bench.work(2))
            assert caught.value.retry_after_s == 7

    in_loop(scenario)


def test_while_one_batch_waits_for_io_another_is_begun() -> None:
    async def scenario() -> None:
        gate = threading.Semaphore(0)
        stages: list[AnyStage] = [WaitingStage(Doubling("io", gate)), Doubling("after")]
        with running(Bench(stages=stages, max_in_flight=2)) as bench:
            works = [bench.work(BUDGET), bench.work(BUDGET)]
            tasks = [bench.submit(work) for work in works]
            while len(bench.batches) < 2:  # the first is still at the gate
                await asyncio.sleep(0)
            gate.release(2)
            for work, answer in zip(works, await asyncio.gather(*tasks), strict=True):
                check_own(work, answer)
                assert list(answer.timings_ms) == ["io", "after"]
            await bench.settle()

    in_loop(scenario)


def test_a_waiting_stage_that_raises_fails_its_batch_alone() -> None:
    async def scenario() -> None:
        failing = Doubling("io", failures=[OSError("gone")])
        with running(Bench(stages=[WaitingStage(failing)])) as bench:
            with pytest.raises(StageFailed, match="stage io failed"):
                await bench.submit(bench.work(2))
            work = bench.work(3)
            check_own(work, await bench.submit(work))
            await bench.settle()

    in_loop(scenario)
