"""Every request has its own deadline: one that cannot wait leaves the batch, and the others are not affected."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.errors import DeadlinePassed
from services.scheduling.batcher import BatchingConfig
from services.scheduling.job import Answer, Job
from services.scheduling.ladder import Ladder, Rung
from services.scheduling.runner import Runner
from services.scheduling.work import Work
from services.stages.base import RemoteStage
from services.telemetry.metrics import UnitMetrics
from tests.services.scenarios.test_degrading import BUDGET, LIMIT_S, Bench, Scoring, merge, missed, row

SIZE = 1  # candidates per request: ten make a batch


async def in_one_batch(bench: Bench, gate: threading.Semaphore, deadlines_s: Sequence[float]) -> list[Answer]:
    """Submit requests with these times left while the model thread is busy. Return their answers."""
    [blocker] = bench.submit(bench.work(0, bench.now_s + 1000.0))
    while not bench.full.entered.is_set():
        await asyncio.sleep(0)
    starts_s = bench.now_s + bench.full.takes_s
    works = [bench.work(n, starts_s + left_s, size=SIZE) for n, left_s in enumerate(deadlines_s, 1)]
    tasks = bench.submit(*works)
    await asyncio.sleep(0)
    gate.release(1000)
    await blocker
    return await asyncio.gather(*tasks)


def timed_bench(gate: threading.Semaphore) -> Bench:
    """Return a bench whose first rung takes 0.8 s and whose second takes 0.3 s. Both times are known."""
    bench = Bench(
        Scoring("full", takes_s=0.8, gate=gate), Scoring("small", takes_s=0.3, gate=gate), horizon_s=1e6
    )
    bench.full.clock = bench.small.clock = bench
    return bench


async def learn(bench: Bench, gate: threading.Semaphore) -> None:
    """Run both rungs once, on as many candidates as the test's batch has."""
    gate.release(2)
    for left_s in (1000.0, 0.7):
        await asyncio.gather(*bench.submit(bench.work(0, bench.now_s + left_s)))
    bench.full.entered.clear()


def test_divides_a_batch_by_the_rung_that_each_deadline_allows() -> None:
    gate = threading.Semaphore(0)
    bench = timed_bench(gate)

    async def scenario() -> None:
        await learn(bench, gate)
        answers = await in_one_batch(bench, gate, [100.0, 0.1, 100.0, 0.6, 100.0])
        assert [row(answer) for answer in answers] == [1, 2, 3, 4, 5]
        assert [missed(answer) for answer in answers] == [
            [],
            ["memory:late"],
            [],
            ["score:small:late"],
            [],
        ]

    asyncio.run(bench.run(scenario))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.002, 0.02, 0.1, 0.4, 0.7, 50.0, 60.0]), min_size=1, max_size=BUDGET))
def test_patient_requests_get_the_best_rung_in_any_batch(deadlines_s: list[float]) -> None:
    gate = threading.Semaphore(0)
    bench = timed_bench(gate)

    async def scenario() -> None:
        await learn(bench, gate)
        answers = await in_one_batch(bench, gate, deadlines_s)
        for number, (answer, left_s) in enumerate(zip(answers, deadlines_s, strict=True), 1):
            assert row(answer) == number
            assert (missed(answer) == []) == (left_s >= 50.0)

    asyncio.run(bench.run(scenario))


# ---- a stage of another unit, on the real clock ----


async def with_remote(
    call: Callable[[RaggedBatch], Awaitable[RaggedBatch]],
    scenario: "Callable[[Runner[int]], Awaitable[None]]",
) -> None:
    """Run a scenario on a runner with one call in flight. Its first rung is that call, and its second is local."""
    rungs = [Rung("score", RemoteStage("score", call)), Rung("small", Scoring("small"))]

    def memory(payloads: Sequence[int], release: str, why: str) -> RaggedBatch:
        return merge(payloads, release).missing(f"memory:{why}", range(len(payloads)))

    runner: Runner[int] = Runner(
        merge=merge,
        ladders_of=lambda _release: [Ladder("score", rungs)],
        batching=BatchingConfig(max_candidates=BUDGET),
        max_in_flight=1,
        horizon_s=0.3,
        metrics=UnitMetrics("test", "test"),
        memory=memory,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            await scenario(runner)
    finally:
        runner.close()


def submit(runner: "Runner[int]", number: int, left_s: float, size: int = SIZE) -> "asyncio.Task[Answer]":
    now_s = asyncio.get_running_loop().time()
    return asyncio.create_task(runner.submit(Work(number, size, 1, now_s + left_s, 0, "a", now_s)))


def test_request_leaves_a_slow_call_and_the_others_get_their_scores() -> None:
    async def scenario() -> None:
        called: asyncio.Queue[tuple[RaggedBatch, asyncio.Future[None]]] = asyncio.Queue()

        async def call(batch: RaggedBatch) -> RaggedBatch:
            held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            called.put_nowait((batch, held))
            await held
            return batch.adding(candidates={"score": 2 * batch.rows})

        async def inside(runner: "Runner[int]") -> None:
            first = submit(runner, 1, LIMIT_S, BUDGET)  # takes the only call in flight
            batch, held = await called.get()
            tasks = [
                submit(runner, n, left_s) for n, left_s in ((2, LIMIT_S), (3, 0.5), (4, LIMIT_S), (5, 0.8))
            ]
            await asyncio.sleep(0)
            held.set_result(None)
            await first
            batch, held = await called.get()
            assert sorted(batch.rows.tolist()) == [2, 3, 4, 5]
            for urgent, number in ((tasks[1], 3), (tasks[3], 5)):
                answer = await urgent
                assert (row(answer), missed(answer)) == (number, ["score:small:late"])
            held.set_result(None)
            for patient, number in ((tasks[0], 2), (tasks[2], 4)):
                answer = await patient
                assert (row(answer), missed(answer)) == (number, [])
                at = answer.batch.offsets[answer.first]
                assert answer.batch.candidates["score"][at] == 2 * number

        await with_remote(call, inside)

    asyncio.run(scenario())


def test_hanging_call_counts_as_in_flight_for_the_default_deadline_at_most() -> None:
    async def scenario() -> None:
        hanging = asyncio.Event()

        async def call(batch: RaggedBatch) -> RaggedBatch:
            if 1 in batch.rows:
                hanging.set()
                await asyncio.Event().wait()
            return batch.adding(candidates={"score": 2 * batch.rows})

        async def inside(runner: "Runner[int]") -> None:
            patient = submit(runner, 1, 10 * LIMIT_S)
            await hanging.wait()
            assert missed(await submit(runner, 2, LIMIT_S)) == []
            assert runner.batches_in_flight == 0
            assert not patient.done()
            patient.cancel()

        await with_remote(call, inside)

    asyncio.run(scenario())


def test_calls_ranker_unit_again_after_it_had_no_time_for_some_requests() -> None:
    async def scenario() -> None:
        calls: list[int] = []

        async def call(batch: RaggedBatch) -> RaggedBatch:
            calls.append(len(batch))
            if len(calls) <= 5:
                raise DeadlinePassed("deadline_ms: too short", retry_after_s=1)
            return batch.adding(candidates={"score": 2 * batch.rows})

        async def inside(runner: "Runner[int]") -> None:
            for number in range(5):
                assert missed(await submit(runner, number, LIMIT_S)) == ["score:small:load"]
            assert missed(await submit(runner, 9, LIMIT_S)) == []

        await with_remote(call, inside)

    asyncio.run(scenario())


def test_ranked_batch_is_ordered_by_the_last_rung_however_long_the_queue() -> None:
    bench = Bench()

    async def scenario() -> None:
        await asyncio.gather(*bench.submit(bench.work(1, bench.now_s + 100.0)))
        rungs = [Rung("full", bench.full), Rung("small", bench.small)]
        for rung, takes_s in zip(rungs, (2.0, 0.1), strict=True):
            rung.done(BUDGET, takes_s, bench.now_s)

        def settled(batch: RaggedBatch | None) -> tuple[int, str | None]:
            """Return the rung that is chosen while the queue leaves no time, and why it is not a better one."""
            work = bench.work(2, bench.now_s + 100.0)
            job: Job[int] = Job([work], bench.now_s - 50.0, [Ladder("score", rungs)], batch)
            assert job.settle(0.0, bench.now_s) == []
            return job.rung, job.why

        assert settled(None) == (len(rungs), "load")  # below the last rung
        assert settled(merge([2], "a").adding(candidates={"score": np.zeros(1)})) == (1, "load")

    asyncio.run(bench.run(scenario))
