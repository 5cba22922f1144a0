"""A batch on its way through the stages, and the answers that come of it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from models.ragged import RaggedBatch
from services.batching import Work
from services.errors import DeadlinePassed, ServiceError, StageFailed
from services.ladder import Budget, Ladder, Rung, Why

Payload = TypeVar("Payload")
_RESCUE_BEFORE_S = 0.05
"""Whoever looks comes at most a sweep's period late, and answering takes its time."""
_RESCUE_SHARE = 0.25
"""Of a short deadline no more than this is given up for it."""
logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished batch and which of its requests are the caller's: [first, first + count)."""

    batch: RaggedBatch
    first: int
    queued_ms: float
    timings_ms: dict[str, float]


@dataclass(slots=True, eq=False)
class Job(Generic[Payload]):
    """A batch on its way. next_stage: the first not yet done; rung: the first of it not yet tried, and why.

    fell: whether something less than a stage's best rung answered it.
    """

    works: list[Work[Payload]]
    dispatched_s: float
    ladders: Sequence[Ladder] = ()
    batch: RaggedBatch | None = None
    next_stage: int = 0
    rung: int = 0
    why: Why | None = None
    error: BaseException | None = None
    fell: bool = False
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def ladder(self) -> Ladder:
        """The ladder of the next stage."""
        return self.ladders[self.next_stage]

    @property
    def until_s(self) -> float:
        """When the first of the batch's requests is answered from memory, if it may be."""
        return min(last_moment_s(work) for work in self.works)

    @property
    def size(self) -> int:
        """The candidates that were asked for: what stages' times are learnt by."""
        return sum(work.candidate_count for work in self.works)

    def reserve_s(self, now_s: float) -> float:
        """Give what the stages after the next one are expected to take."""
        size = self.size
        return sum(ladder.expected_s(size, now_s) for ladder in self.ladders[self.next_stage + 1 :])

    def choose(self, budget: Budget, now_s: float) -> Rung | None:
        """Settle on a rung of the next stage; None where none of those left is worth trying."""
        choice = self.ladder.choose(self.size, budget, now_s, first=self.rung)
        self.why = self.why or choice.why
        if choice.place is None:
            return None
        self.rung = choice.place
        return self.ladder.rungs[choice.place]

    def done(self, batch: RaggedBatch, elapsed_s: float, now_s: float) -> None:
        """Note that the present rung gave ``batch``."""
        ladder = self.ladder
        rung = ladder.rungs[self.rung]
        rung.done(self.size, elapsed_s, now_s)
        self.timings_ms[ladder.name] = elapsed_s * 1e3
        if self.rung:
            batch = batch.missing(f"{ladder.name}:{rung.name}:{self.why}", range(len(batch)))
            self.fell = True
        self.batch, self.next_stage, self.rung, self.why = batch, self.next_stage + 1, 0, None

    def failed(self, error: BaseException, why: Why, now_s: float) -> None:
        """Note that the present rung did not; the one below is next."""
        ladder = self.ladder
        ladder.rungs[self.rung].failed(now_s)
        self.error, self.why = self.failure(error), why
        self.rung += 1

    def failure(self, error: BaseException) -> ServiceError:
        """Give what the batch's requests are answered with when nothing is left to try after ``error``."""
        if isinstance(error, ServiceError):
            return error
        name = "merge" if self.batch is None else self.ladder.name
        logger.error("stage %s failed on a batch of %d requests", name, len(self.works), exc_info=error)
        failure = StageFailed(f"stage {name} failed: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure


def last_moment_s(work: Work[Payload]) -> float:
    """Give when to answer from memory what is not answered yet: a little before its deadline."""
    return work.deadline_s - min(_RESCUE_BEFORE_S, _RESCUE_SHARE * (work.deadline_s - work.arrived_s))


def too_late() -> DeadlinePassed:
    """Give the refusal of what passed its deadline."""
    return DeadlinePassed(
        "the deadline passed before the answer was ready: send again, or give a longer deadline_ms",
        retry_after_s=1,
    )
