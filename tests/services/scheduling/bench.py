"""A runner with its real thread and event loop. A score is twice its candidate's row, and rows are unique."""

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from models.ragged import RaggedBatch, offsets_of
from services.scheduling.batcher import BatchingConfig
from services.scheduling.job import Answer
from services.scheduling.ladder import Ladder
from services.scheduling.runner import Runner
from services.scheduling.work import Work
from services.stages.base import AnyStage
from services.telemetry.metrics import UnitMetrics

Payload = list[list[int]]  # each request's rows
BUDGET = 12
LIMIT_S = 20.0  # real time, so that a hang fails the test
FOREVER = float("inf")


@dataclass
class Bench:
    """A runner whose clock stands still and whose stages wait for permission."""

    max_in_flight: int = 1
    threads: int = 1
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
            threads=self.threads,
            metrics=self.metrics,
            clock=lambda: self.now_s,
        )

    def ladders_of(self, release: str) -> Sequence[Ladder]:
        return {name: [Ladder.from_stage(stage) for stage in self.stages] for name in self.releases}[release]

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
        """Wait until no batch is in flight and all borrowed objects are returned."""
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
    """Check that every request of the work has its own rows and scores, from the work's release."""
    batch = answer.batch
    assert batch.release == work.release
    for index, rows in enumerate(work.payload, answer.first):
        first, last = batch.offsets[index], batch.offsets[index + 1]
        assert batch.rows[first:last].tolist() == rows
        assert batch.candidates["score"][first:last].tolist() == [2 * row for row in rows]


@dataclass
class Doubling:
    """A synchronous stage that scores a row with twice its number. It may wait, or fail on a batch."""

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


@dataclass
class Named:
    """A synchronous stage that calls a function."""

    name: str
    function: Callable[[RaggedBatch], RaggedBatch]

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        return self.function(batch)


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test()

    asyncio.run(bounded())


def entered_event(stage: Doubling) -> asyncio.Event:
    """Return an event that is set whenever the model thread enters the stage."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    stage.entered = lambda: loop.call_soon_threadsafe(event.set)  # type: ignore[assignment]
    return event
