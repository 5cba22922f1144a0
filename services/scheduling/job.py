"""A batch on its way through the stages, and its answers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.ragged import RaggedBatch
from services.errors import DeadlinePassed, ServiceError, StageFailed
from services.scheduling.batcher import Work
from services.scheduling.ladder import Ladder, Part
from services.stages.base import Why

Payload = TypeVar("Payload")
_RESCUE_BEFORE_S = 0.05
"""The sweeper comes at most one period late, and an answer from memory takes its time."""
_RESCUE_SHARE = 0.25
"""A short deadline gives up no more than this share of it."""
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
    """A batch on its way.

    next_stage: the first stage that is not done. rung: its first rung that has not been tried, and ``why`` not the
    best. is_settled: ``rung`` has been chosen for exactly these requests. is_probe: it was chosen to check its time.
    fell: something less than a stage's best rung answered it. has_place: it counts as a batch in flight.
    is_part: its requests left the batch that they were in.
    rehearsed: the rung of every stage if this is a rehearsal, which teaches nothing and stops at the first failure.
    """

    works: list[Work[Payload]]
    dispatched_s: float
    ladders: Sequence[Ladder] = ()
    batch: RaggedBatch | None = None
    next_stage: int = 0
    rung: int = 0
    why: Why | None = None
    is_settled: bool = False
    is_probe: bool = False
    error: BaseException | None = None
    fell: bool = False
    has_place: bool = True
    is_part: bool = False
    rehearsed: int | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def ladder(self) -> Ladder:
        """The ladder of the next stage."""
        return self.ladders[self.next_stage]

    @property
    def size(self) -> int:
        """The candidates that were asked for; the times of stages are learned by it."""
        return sum(work.candidate_count for work in self.works)

    def reserve_s(self, now_s: float) -> float:
        """Return the expected time of the stages after the next one, each by its cheapest working rung."""
        size = self.size
        return sum(ladder.cheapest_s(size, now_s) for ladder in self.ladders[self.next_stage + 1 :])

    def divide(self, left_s: Sequence[float], share_s: float, now_s: float) -> list[Part]:
        """Divide the requests among the rungs of the next stage, as ``Ladder.divide``."""
        sizes = [work.candidate_count for work in self.works]
        return self.ladder.divide(sizes, left_s, share_s, now_s, first=self.rung)

    def settle(self, part: Part) -> None:
        """Take the rung of ``part``, which has all requests of this job."""
        self.rung = len(self.ladder.rungs) if part.rung is None else part.rung
        self.why = self.why or part.why
        self.is_settled, self.is_probe = True, part.is_probe

    def leave(self, groups: Sequence[Sequence[int]]) -> list[Self]:
        """Take out groups of requests, given by position, and return each group as a job."""
        away = [
            replace(
                self,
                works=[self.works[position] for position in members],
                batch=self._take(members),
                has_place=False,
                is_part=True,
                timings_ms=dict(self.timings_ms),
            )
            for members in groups
        ]
        leaving = {position for members in groups for position in members}
        staying = [position for position in range(len(self.works)) if position not in leaving]
        self.batch = self._take(staying)
        self.works = [self.works[position] for position in staying]
        return away

    def requests_of(self, members: Sequence[int]) -> NDArray[np.int64]:
        """Return the positions in the ragged batch of the requests of these works, int64."""
        first = np.cumsum([0, *(work.request_count for work in self.works)])
        return np.concatenate([np.arange(first[member], first[member + 1]) for member in members])

    def _take(self, members: Sequence[int]) -> RaggedBatch | None:
        return None if self.batch is None else self.batch.take(self.requests_of(members))

    def done(self, batch: RaggedBatch, elapsed_s: float, now_s: float, *, size: int | None = None) -> None:
        """Note that the present rung returned ``batch``; ``size``: candidates it ran on, if not those of the job."""
        ladder = self.ladder
        rung = ladder.rungs[self.rung]
        if self.rehearsed is None:
            rung.done(self.size if size is None else size, elapsed_s, now_s, is_probe=self.is_probe)
        self.timings_ms[ladder.name] = elapsed_s * 1e3
        if self.rung:
            batch = batch.missing(f"{ladder.name}:{rung.name}:{self.why}", range(len(batch)))
            self.fell = True
        self.batch, self.next_stage, self.rung, self.why = batch, self.next_stage + 1, 0, None
        self.is_settled = self.is_probe = False

    @property
    def is_ranked(self) -> bool:
        """Whether the candidates have their scores: what is left to do is to order them."""
        return self.batch is not None and "score" in self.batch.candidates

    def failed(self, error: BaseException, why: Why, elapsed_s: float, now_s: float) -> None:
        """Note that the present rung failed after ``elapsed_s``; the one below is next.

        Another unit that had no time for these requests has not failed: others may have later deadlines.
        """
        self.error = self.failure(error)
        if self.rehearsed is None and not isinstance(error, DeadlinePassed):
            self.ladder.rungs[self.rung].failed(now_s, probed_s=elapsed_s if self.is_probe else 0.0)
        self.fall(why)

    def gave_up(self, elapsed_s: float, now_s: float, *, size: int) -> None:
        """Note that nobody waits any more for the present rung, which ran on ``size`` candidates."""
        if self.rehearsed is None:
            self.ladder.rungs[self.rung].gave_up(size, elapsed_s, now_s, is_probe=self.is_probe)
        self.error = too_late()
        self.fall("late")

    def fall(self, why: Why) -> None:
        """Go on to the rung below."""
        self.why = why
        self.rung += 1
        self.is_settled = self.is_probe = False

    def failure(self, error: BaseException) -> ServiceError:
        """Return the error that the requests get if nothing is left to try after ``error``."""
        if isinstance(error, ServiceError):
            return error
        name = "merge" if self.batch is None else self.ladder.name
        logger.error("stage %s failed on a batch of %d requests", name, len(self.works), exc_info=error)
        failure = StageFailed(f"stage {name} failed: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure


def last_moment_s(work: Work[Payload]) -> float:
    """Return when a request is answered from memory if it has no answer yet: a little before its deadline."""
    return work.deadline_s - min(_RESCUE_BEFORE_S, _RESCUE_SHARE * (work.deadline_s - work.arrived_s))


def too_late() -> DeadlinePassed:
    """Return the refusal of a request that passed its deadline."""
    return DeadlinePassed(
        "the deadline passed before the answer was ready: send again, or give a longer deadline_ms",
        retry_after_s=1,
    )
