"""The runner with its real thread and event loop; a score is twice its candidate's row, rows are unique."""

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch, offsets_of
from services.errors import DeadlinePassed, Overloaded, QueueFull, StageFailed
from services.scheduling.batcher import BatchingConfig
from services.scheduling.job import Answer
from services.scheduling.ladder import Ladder
from services.scheduling.runner import Runner
from services.scheduling.work import Work
from services.stages.base import AnyStage, RemoteStage, WaitingStage
from services.telemetry.metrics import UnitMetrics

Payload = list[list[int]]  # rows of each of the work's requests
BUDGET = 12
LIMIT_S = 20.0  # of real time: a hang fails, it does not wait
FOREVER = float("inf")


@dataclass
class Bench:
    """A runner whose clock stands still and whose stages wait to be let through."""

    max_in_flight: int = 1
    batching: BatchingConfig = field(default_factory=lambda: BatchingConfig(max_candidates=BUDGET))
    stages: Sequence[AnyStage] = ()
    releases: Sequence[str] = ("a", "b")
    now_s: float = 0.0
    batches: list[tuple[str, list[Payload]]] = field(default_factory=list)
    rows: Iterator[int] = field(default_factory=itertools.count)
    metrics: UnitMetrics = field(default_factory=lambda: UnitMetrics("test", "test"))
    runner: "Runner[Payload]" = field(init=False)

    def start(self) -> None:
        self.runner = Runner(
            merge=self.merge,
            ladders_of=self.ladders_of,
            batching=self.batching,
            max_in_flight=self.max_in_flight,
            metrics=self.metrics,
            clock=lambda: self.now_s,
        )

    def ladders_of(self, release: str) -> Sequence[Ladder]:
        return {name: [Ladder.of(stage) for stage in self.stages] for name in self.releases}[release]

    def merge(self, payloads: Sequence[Payload], release: str) -> RaggedBatch:
        self.batches.append((release, list(payloads)))
        requests = [rows for payload in payloads for rows in payload]
        return RaggedBatch(
            offsets=offsets_of(np.array([len(rows) for rows in requests])),
            rows=np.array([row for rows in requests for row in rows], dtype=np.int64),
            release=release,
        )

    def work(
        self, *sizes: int, deadline_s: float = FOREVER, priority: int = 0, release: str = "a"
    ) -> Work[Payload]:
        return Work(
            payload=[list(itertools.islice(self.rows, size)) for size in sizes],
            candidate_count=sum(sizes),
            request_count=len(sizes),
            deadline_s=deadline_s,
            priority=priority,
            release=release,
            arrived_s=self.now_s,
        )

    def submit(self, work: Work[Payload]) -> "asyncio.Task[Answer]":
        return asyncio.create_task(self.runner.submit(work))

    async def settle(self) -> None:
        """Wait until nothing is in flight; what was borrowed is back."""
        async with asyncio.timeout(LIMIT_S):
            while self.runner.batches_in_flight or self.runner.calls_in_flight:
                await asyncio.sleep(0)
        assert self.runner.waiting_candidates == 0
        assert self.runner.is_idle


@contextmanager
def running(bench: Bench) -> Iterator[Bench]:
    bench.start()
    try:
        yield bench
    finally:
        bench.runner.close()


def check_own(work: Work[Payload], answer: Answer) -> None:
    """Every request of the work has its own rows and scores."""
    batch = answer.batch
    for place, rows in enumerate(work.payload, answer.first):
        first, last = batch.offsets[place], batch.offsets[place + 1]
        assert batch.rows[first:last].tolist() == rows
        assert batch.candidates["score"][first:last].tolist() == [2 * row for row in rows]


@dataclass
class Doubling:
    """A synchronous stage: a score is twice the row. It may be told to wait, or to fail on a batch."""

    name: str = "double"
    gate: threading.Semaphore | None = None
    entered: "Callable[[], None] | None" = None
    failures: list[BaseException] = field(default_factory=list)

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        if self.entered is not None:
            self.entered()
        if self.gate is not None:
            assert self.gate.acquire(timeout=LIMIT_S)
        if self.failures:
            raise self.failures.pop()
        return batch.adding(candidates={"score": 2 * batch.rows})


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test()

    asyncio.run(bounded())


def entered_event(stage: Doubling) -> asyncio.Event:
    """Give an event that is set whenever the model thread enters the stage."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    stage.entered = lambda: loop.call_soon_threadsafe(event.set)  # type: ignore[assignment]
    return event


def test_an_idle_runner_answers_at_once_and_then_merges_what_gathered() -> None:
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


def test_whoever_cancels_inside_a_batch_still_advances_its_slice() -> None:
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


def test_work_cancelled_while_it_waits_is_never_computed() -> None:
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


def test_what_arrives_and_what_is_refused_is_counted_at_the_door_in_the_queue_and_in_a_batch() -> None:
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
            # The thread is still busy, yet what expired holds no room in the queue.
            assert bench.runner.waiting_candidates == 0
            assert stage.gate is not None
            stage.gate.release()
            await bench.settle()
            with pytest.raises(DeadlinePassed):
                await bench.runner.submit(bench.work(1, deadline_s=2.5))

    in_loop(scenario)


def test_one_slow_batch_does_not_shed_all_that_follow() -> None:
    async def scenario() -> None:
        stage = Doubling()
        with running(Bench(stages=[stage])) as bench:
            slow = Doubling(entered=lambda: setattr(bench, "now_s", bench.now_s + 3600))
            bench.stages = [slow]
            await bench.runner.submit(bench.work(1))
            bench.stages = [stage]
            for _ in range(20):
                await bench.runner.submit(bench.work(1, deadline_s=bench.now_s + 0.5))

    in_loop(scenario)


def test_after_one_slow_batch_a_burst_is_still_served() -> None:
    async def scenario() -> None:
        gate = threading.Semaphore(0)
        stage = Doubling(gate=gate)
        with running(Bench(stages=[stage])) as bench:
            entered = entered_event(stage)
            slow = bench.submit(bench.work(BUDGET))
            await entered.wait()
            bench.now_s = 3.0
            gate.release()
            await slow
            entered.clear()
            failing = bench.submit(bench.work(BUDGET))  # holds the thread, and teaches it nothing
            await entered.wait()
            burst = [bench.submit(bench.work(1, deadline_s=4.0)) for _ in range(3)]
            await asyncio.sleep(0)
            stage.failures.append(ValueError("bad weights"))
            gate.release()
            with pytest.raises(StageFailed):
                await failing
            gate.release()
            await asyncio.gather(*burst)

    in_loop(scenario)


def test_closing_refuses_what_waits_and_what_comes_after() -> None:
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


# ---- stages done by another unit ----


def test_batches_away_at_another_unit_leave_the_thread_free_up_to_the_bound() -> None:
    async def scenario() -> None:
        calls: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

        async def call(batch: RaggedBatch) -> RaggedBatch:
            held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            calls.put_nowait(held)
            await held
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


@dataclass
class Named:
    """A synchronous stage from a function."""

    name: str
    function: Callable[[RaggedBatch], RaggedBatch]

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        return self.function(batch)


@pytest.mark.parametrize(
    "failure", [ConnectionError("replica died"), asyncio.CancelledError(), TimeoutError()]
)
def test_a_call_that_fails_or_is_cancelled_gives_its_place_back(failure: BaseException) -> None:
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


def test_the_place_of_a_failed_call_goes_to_who_waits() -> None:
    async def scenario() -> None:
        away: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

        async def call(batch: RaggedBatch) -> RaggedBatch:
            held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            away.put_nowait(held)
            await held
            return batch.adding(candidates={"score": 2 * batch.rows})

        with running(Bench(stages=[RemoteStage("away", call)])) as bench:
            failing = bench.submit(bench.work(BUDGET))
            held = await away.get()
            work = bench.work(2)
            waiting = bench.submit(work)
            while not bench.runner.queue.sleeping:
                await asyncio.sleep(0)  # until the model thread sleeps, its only place taken
            held.set_exception(ConnectionError("replica died"))
            with pytest.raises(StageFailed):
                await failing
            (await away.get()).set_result(None)
            check_own(work, await waiting)
            await bench.settle()

    in_loop(scenario)


def test_a_call_that_hangs_is_dropped_at_its_last_deadline() -> None:
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


# ---- anything at all ----

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
)
def test_whatever_happens_each_gets_its_own_scores_once_and_all_is_returned(
    steps: list[tuple[object, ...]], with_remote: bool, max_in_flight: int
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
        with running(Bench(stages=stages, max_in_flight=max_in_flight, batching=limit)) as bench:
            for step in steps:
                match step:
                    case ("submit", list(sizes), float(wait_s), int(priority), str(release)):
                        work = bench.work(
                            *sizes, deadline_s=bench.now_s + wait_s, priority=priority, release=release
                        )
                        place = len(works)
                        work.is_abandoned = lambda place=place: place in left
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
            for place, (work, outcome) in enumerate(zip(works, outcomes, strict=True)):
                if isinstance(outcome, Answer):
                    check_own(work, outcome)
                elif isinstance(outcome, asyncio.CancelledError):
                    assert place in cancelled
                elif isinstance(outcome, DeadlinePassed):
                    assert work.deadline_s <= bench.now_s or place in left
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
