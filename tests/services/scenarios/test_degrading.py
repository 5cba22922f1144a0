"""The runner with answers from memory: every admitted request is answered, at lower quality if time is short."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch, offsets_of
from services.errors import DeadlinePassed, QueueFull, StageFailed
from services.scheduling.batcher import BatchingConfig
from services.scheduling.job import Answer
from services.scheduling.ladder import Ladder, Rung
from services.scheduling.runner import Runner
from services.scheduling.work import Work
from services.stages.base import Why
from services.telemetry.metrics import UnitMetrics

LIMIT_S = 20.0
BUDGET = 10


def merge(payloads: Sequence[int], release: str) -> RaggedBatch:
    return RaggedBatch(
        offsets=offsets_of(np.ones(len(payloads))), rows=np.array(payloads, dtype=np.int64), release=release
    )


@dataclass
class Scoring:
    """A stage that may wait at a gate or fail. On the bench's clock it takes ``takes_s``."""

    name: str
    takes_s: float = 0.0
    fails: bool = False
    gate: threading.Semaphore | None = None
    clock: "Bench | None" = None
    entered: threading.Event = field(default_factory=threading.Event)

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        self.entered.set()
        if self.gate is not None:
            assert self.gate.acquire(timeout=LIMIT_S)
        if self.clock is not None:
            self.clock.now_s += self.takes_s
        if self.fails:
            raise ValueError("bad weights")
        return batch.adding(candidates={"score": batch.rows})


@dataclass
class Bench:
    """A runner with one stage, two rungs and a memory. The test moves its clock."""

    full: Scoring = field(default_factory=lambda: Scoring("full"))
    small: Scoring = field(default_factory=lambda: Scoring("small"))
    now_s: float = 0.0
    memory_fails: bool = False
    most: int = 1000
    horizon_s: float = 10.0
    remembered: list[tuple[list[int], Why]] = field(default_factory=list)
    runner: "Runner[int]" = field(init=False)

    def memory(self, payloads: Sequence[int], release: str, why: Why) -> RaggedBatch:
        self.remembered.append((list(payloads), why))
        if self.memory_fails:
            raise OSError("no memory")
        batch = merge(payloads, release).missing(f"memory:{why}", range(len(payloads)))
        return batch.adding(candidates={"score": batch.rows})

    def work(self, number: int, deadline_s: float, priority: int = 0, size: int = BUDGET) -> Work[int]:
        return Work(number, size, 1, deadline_s, priority, "a", self.now_s)

    async def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        rungs = [Rung("full", self.full), Rung("small", self.small)]
        self.runner = Runner(
            merge=merge,
            ladders_of=lambda _release: [Ladder("score", rungs)],
            batching=BatchingConfig(max_candidates=BUDGET, max_waiting_candidates=self.most),
            max_in_flight=1,
            metrics=UnitMetrics("test", "test"),
            memory=self.memory,
            horizon_s=self.horizon_s,
            clock=lambda: self.now_s,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                await scenario()
        finally:
            self.runner.close()

    def submit(self, *works: Work[int]) -> "list[asyncio.Task[Answer]]":
        return [asyncio.create_task(self.runner.submit(work)) for work in works]


def missed(answer: Answer) -> list[str]:
    return answer.batch.missed_by(answer.first)


def row(answer: Answer) -> int:
    return int(answer.batch.rows[answer.first])


@pytest.mark.parametrize(
    ("full", "small", "memory", "expected"),
    [
        (False, False, False, []),
        (True, False, False, ["score:small:failed"]),
        (True, True, False, ["memory:failed"]),
        (True, True, True, None),
    ],
)
def test_fails_only_if_memory_fails_too(
    full: bool, small: bool, memory: bool, expected: list[str] | None
) -> None:
    bench = Bench(Scoring("full", fails=full), Scoring("small", fails=small), memory_fails=memory)

    async def scenario() -> None:
        [task] = bench.submit(bench.work(1, 100.0))
        if expected is None:
            with pytest.raises(StageFailed, match="bad weights"):
                await task
        else:
            assert missed(await task) == expected

    asyncio.run(bench.run(scenario))


def test_skips_a_rung_that_would_be_late() -> None:
    bench = Bench()
    bench.full = Scoring("full", takes_s=0.8, clock=bench)
    bench.small = Scoring("small", takes_s=0.3, clock=bench)

    async def scenario() -> None:
        for wait_s, expected in (
            (100.0, []),
            (0.7, ["score:small:late"]),
            (100.0, []),
            (0.2, ["memory:late"]),
        ):
            [task] = bench.submit(bench.work(1, bench.now_s + wait_s))
            assert missed(await task) == expected

    asyncio.run(bench.run(scenario))


def test_waiting_requests_are_answered_from_memory_before_their_deadlines() -> None:
    gate = threading.Semaphore(0)
    bench = Bench(Scoring("full", gate=gate))

    async def scenario() -> None:
        tasks = bench.submit(bench.work(1, 1.0), bench.work(2, 1.0), bench.work(3, 9.0))
        while not bench.full.entered.is_set():
            await asyncio.sleep(0)
        bench.now_s = 0.99
        first, second = await tasks[0], await tasks[1]
        assert [row(first), row(second)] == [1, 2]
        assert missed(first) == missed(second) == ["memory:late"]
        assert bench.runner.waiting_candidates == BUDGET
        gate.release(3)
        assert missed(await tasks[2]) == []

    asyncio.run(bench.run(scenario))


def test_long_queue_lowers_quality_except_for_the_highest_priority() -> None:
    gate = threading.Semaphore(0)
    bench = Bench()
    bench.full = Scoring("full", takes_s=1.0, clock=bench, gate=gate)
    bench.small = Scoring("small", takes_s=1.0, clock=bench, gate=gate)

    async def scenario() -> None:
        gate.release(1)
        await asyncio.gather(*bench.submit(bench.work(0, 100.0)))  # the time of the first rung is known now
        blocker = bench.submit(bench.work(1, bench.now_s + 100.0))
        bench.full.entered.clear()
        while not bench.full.entered.is_set():
            await asyncio.sleep(0)
        until_s = bench.now_s + 10.0
        low = bench.submit(*[bench.work(10 + n, until_s) for n in range(20)])
        high = bench.submit(bench.work(9, until_s, priority=5))
        await asyncio.sleep(0)
        gate.release(100)
        answers = await asyncio.gather(*blocker, *high, *low)
        assert [row(answer) for answer in answers] == [1, 9, *range(10, 30)]
        assert missed(answers[1]) == []
        assert ["memory:load"] in [missed(answer) for answer in answers[2:]]

    asyncio.run(bench.run(scenario))


def test_full_queue_drops_low_priority_for_a_higher_one() -> None:
    gate = threading.Semaphore(0)
    bench = Bench(Scoring("full", gate=gate), most=2 * BUDGET)

    async def scenario() -> None:
        blocker = bench.submit(bench.work(0, 100.0))
        while not bench.full.entered.is_set():
            await asyncio.sleep(0)
        low = bench.submit(bench.work(1, 100.0), bench.work(2, 101.0))
        high = bench.submit(bench.work(3, 100.0, priority=1))
        with pytest.raises(QueueFull, match="higher priority"):
            await low[1]
        gate.release(3)
        assert [row(answer) for answer in await asyncio.gather(*blocker, *high, low[0])] == [0, 3, 1]

    asyncio.run(bench.run(scenario))


requests = st.tuples(st.integers(1, BUDGET), st.sampled_from([0.01, 0.5, 2.0, 50.0]), st.integers(-1, 1))


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.one_of(requests, st.sampled_from([0.0, 0.3, 1.0])), max_size=25),
    full_s=st.sampled_from([0.0, 0.4]),
    fails=st.sampled_from(["", "full", "both"]),
)
def test_every_request_gets_its_own_answer_or_is_refused_as_late(
    steps: list[tuple[int, float, int] | float], full_s: float, fails: str
) -> None:
    bench = Bench()
    bench.full = Scoring("full", full_s, bool(fails), clock=bench)
    bench.small = Scoring("small", full_s / 4, fails == "both", clock=bench)

    async def scenario() -> None:
        tasks: list[asyncio.Task[Answer]] = []
        for step in steps:
            if isinstance(step, tuple):
                size, wait_s, priority = step
                tasks += bench.submit(bench.work(len(tasks), bench.now_s + wait_s, priority, size))
            else:
                bench.now_s += step
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Answer):
                assert row(outcome) == number
            else:
                assert isinstance(outcome, DeadlinePassed)
        assert bench.runner.waiting_candidates == 0

    asyncio.run(bench.run(scenario))
