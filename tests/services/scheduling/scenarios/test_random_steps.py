"""Random sequences of requests, cancellations, failures and time: each request gets its own scores once."""

import asyncio
import threading
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.errors import DeadlinePassed, QueueFull, StageFailed
from services.scheduling.batcher import BatchingConfig
from services.scheduling.job import Answer
from services.scheduling.work import Work
from services.stages.base import AnyStage, RemoteStage
from tests.services.scheduling.bench import (
    BUDGET,
    FOREVER,
    LIMIT_S,
    Bench,
    Named,
    Payload,
    check_own,
    in_loop,
    running,
)

submits = st.tuples(
    st.just("submit"),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.sampled_from([FOREVER, FOREVER, 100.0, 1.0]),
    st.integers(-1, 1),
    st.sampled_from("aab"),
)


others = st.one_of(
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("leave"), st.integers(0, 20)),
    st.tuples(st.just("fail"), st.sampled_from(["before", "away", "after"])),
    st.tuples(st.just("later"), st.sampled_from([0.4, 1.5])),
    st.tuples(st.just("step"), st.integers(1, 3)),
    st.tuples(st.just("yield"), st.integers(1, 3)),
)


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(st.one_of(submits, submits, others), max_size=30),
    with_remote=st.booleans(),
    max_in_flight=st.integers(1, 3),
    threads=st.integers(1, 3),
)
def test_every_request_gets_its_own_scores_once_in_any_sequence_of_events(
    steps: list[tuple[object, ...]], with_remote: bool, max_in_flight: int, threads: int
) -> None:
    async def scenario() -> None:
        gate = threading.Semaphore(0)
        to_fail: set[str] = set()

        def local(name: str) -> Callable[[RaggedBatch], RaggedBatch]:
            def stage(batch: RaggedBatch) -> RaggedBatch:
                if name == "before":
                    assert gate.acquire(timeout=LIMIT_S)
                if name in to_fail:
                    to_fail.discard(name)
                    raise RuntimeError(name)
                return batch.adding(candidates={"score": 2 * batch.rows})

            return stage

        async def away(batch: RaggedBatch) -> RaggedBatch:
            for _ in range(batch.candidate_count % 4):
                await asyncio.sleep(0)
            if "away" in to_fail:
                to_fail.discard("away")
                raise RuntimeError("away")
            return batch

        before, after = Named("before", local("before")), Named("after", local("after"))
        stages: list[AnyStage] = (
            [before, RemoteStage("away", away), after] if with_remote else [before, after]
        )
        limit = BatchingConfig(max_candidates=BUDGET, max_waiting_candidates=60)
        failed = 0
        works: list[Work[Payload]] = []
        tasks: list[asyncio.Task[Answer]] = []
        cancelled: set[int] = set()
        left: set[int] = set()
        shape = Bench(stages=stages, max_in_flight=max_in_flight, threads=threads, batching=limit)
        with running(shape) as bench:
            for step in steps:
                match step:
                    case ("submit", list(sizes), float(wait_s), int(priority), str(release)):
                        work = bench.work(
                            *sizes, deadline_s=bench.now_s + wait_s, priority=priority, release=release
                        )
                        index = len(works)
                        work.is_abandoned = lambda index=index: index in left
                        works.append(work)
                        tasks.append(bench.submit(work))
                    case ("cancel", int(which)) if tasks:
                        if tasks[which % len(tasks)].cancel():
                            cancelled.add(which % len(tasks))
                    case ("leave", int(which)) if tasks:
                        left.add(which % len(tasks))
                    case ("fail", str(name)) if with_remote or name != "away":
                        failed += name not in to_fail
                        to_fail.add(name)
                    case ("later", float(later_s)):
                        bench.now_s += later_s
                    case ("step", int(count)):
                        gate.release(count)
                    case ("yield", int(count)):
                        for _ in range(count):
                            await asyncio.sleep(0)
            gate.release(1000)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await bench.settle()

            stage_failures = 0
            for index, (work, outcome) in enumerate(zip(works, outcomes, strict=True)):
                if isinstance(outcome, Answer):
                    check_own(work, outcome)
                elif isinstance(outcome, asyncio.CancelledError):
                    assert index in cancelled
                elif isinstance(outcome, DeadlinePassed):
                    assert work.deadline_s <= bench.now_s or index in left
                else:
                    assert isinstance(outcome, QueueFull | StageFailed), outcome
                    stage_failures += isinstance(outcome, StageFailed)
            assert failed or not stage_failures
            served = [row for _, payloads in bench.batches for rows in payloads for row in rows]
            assert len(served) == len({id(rows) for rows in served}), "a request was in two batches"
            for release, payloads in bench.batches:
                sizes_taken = [sum(len(rows) for rows in payload) for payload in payloads]
                assert sum(sizes_taken) <= BUDGET or len(sizes_taken) == 1
                mine = {row for payload in payloads for rows in payload for row in rows}
                owners = [w for w in works if mine & {row for rows in w.payload for row in rows}]
                assert {owner.release for owner in owners} == {release}

    in_loop(scenario)
