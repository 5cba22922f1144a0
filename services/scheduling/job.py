"""A batch on its way through the stages, and the answers to its requests."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from autoscale.serving_rules import stage_left_s
from models.ragged import RaggedBatch
from services.breaker import State
from services.errors import DeadlinePassed, Overloaded, RequestError, ServiceError, StageFailed
from services.scheduling.deadlines import last_moment_s, too_late
from services.scheduling.ladder import Ladder, Part, Rung, needs_s
from services.scheduling.work import Work
from services.stages.base import Why

Payload = TypeVar("Payload")
logger = logging.getLogger("ray.serve")


class Answer(msgspec.Struct, frozen=True):
    """The answer to one request, within a finished batch.

    Attributes:
        first: the request's index in ``batch``. If the caller sent several requests, the first one's index.
        queued_ms: milliseconds in the queue.
        timings_ms: milliseconds by stage, rounded to microseconds. All answers of the batch share it.
    """

    batch: RaggedBatch
    first: int
    queued_ms: float
    timings_ms: dict[str, float]


@dataclass(slots=True, eq=False)
class Job(Generic[Payload]):
    """A batch on its way through the stages.

    Attributes:
        works: the queue entries, in the batch's order.
        dispatched_s: when the batch left the queue.
        batch: None until the works are merged.
        next_stage: the index of the first unfinished stage.
        rung: the index of that stage's next rung.
        why: why ``rung`` is not the best rung. None if it is.
        is_settled: whether ``rung`` was chosen for exactly these requests.
        is_probe: whether ``rung`` was chosen to check its expected time.
        error: the last failed rung's error.
        is_degraded: whether a lower rung or memory has answered a stage.
        in_flight: whether the job counts as a batch in flight.
        is_part: whether the job's requests have left another batch.
        is_late: whether the job's requests are refused before any stage.
        rehearsed: in a rehearsal, the rung index for every stage. No expected times are learned, and the first failure
            ends the job.
        timings_ms: milliseconds by stage.
        size: the number of requested candidates. Stage times are learned by this size.
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
    error: ServiceError | None = None
    is_degraded: bool = False
    in_flight: bool = True
    is_part: bool = False
    is_late: bool = False
    rehearsed: int | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    size: int = field(default=0, init=False)
    _first_due_s: float | None = field(default=None, init=False)
    _needs_s: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Count the candidates of the works."""
        self.size = sum(work.candidate_count for work in self.works)

    @property
    def release(self) -> str:
        """The release of all requests."""
        return self.works[0].release

    @property
    def ladder(self) -> Ladder:
        """The ladder of the next stage."""
        return self.ladders[self.next_stage]

    @property
    def next_rung(self) -> Rung | None:
        """The rung that runs next. None if the stage has no rung left."""
        rungs = self.ladder.rungs
        return rungs[self.rung] if self.rung < len(rungs) else None

    @property
    def is_ranked(self) -> bool:
        """Whether the candidates have their scores. The remaining stages then only order them."""
        return self.batch is not None and "score" in self.batch.candidates

    def reserve_s(self, now_s: float) -> float:
        """Return the expected time for all stages after the next one, each at its cheapest working rung."""
        return sum([ladder.cheapest_s(self.size, now_s) for ladder in self.ladders[self.next_stage + 1 :]])

    def settle(self, share_s: float, now_s: float) -> list[Self]:
        """Choose the rung for the next stage. Return the requests that need a lower rung as new jobs.

        Args:
            share_s: the time that the queue leaves to this batch, from dispatch to end.
            now_s: the present time.
        """
        share_s -= now_s - self.dispatched_s
        if self._fits(share_s, now_s):
            self.is_settled = True
            return []
        reserve_s = self.reserve_s(now_s)
        share_s -= reserve_s
        if self.is_ranked:  # ordering costs no more than an answer from memory
            share_s = max(share_s, self.ladder.cheapest_s(self.size, now_s))
        sizes = [work.candidate_count for work in self.works]
        left_s = [stage_left_s(last_moment_s(work), now_s, reserve_s) for work in self.works]
        own_part, *parts = self.ladder.divide(sizes, left_s, share_s, now_s, first=self.rung)
        leaving = self.leave([part.members for part in parts]) if parts else []
        for job, part in zip([self, *leaving], [own_part, *parts], strict=True):
            job._take_rung(part)
        return leaving

    def _fits(self, share_s: float, now_s: float) -> bool:
        """Return whether the next stage's best rung works and would make no request late.

        The expected times of all stages are looked up once per batch. This saves 7% of the Python instructions on the
        model thread for a single request. Almost every batch fits, so ``divide`` is rare.
        """
        if self._first_due_s is None:
            self._first_due_s = min([last_moment_s(work) for work in self.works])
            self._needs_s = needs_s(self.ladders, self.size, now_s)
        needed_s = self._needs_s[self.next_stage]
        if self.rung or needed_s > share_s or needed_s > stage_left_s(self._first_due_s, now_s, 0.0):
            return False
        return self.ladder.rungs[0].breaker.state is State.CLOSED

    def _take_rung(self, part: Part) -> None:
        self.rung = len(self.ladder.rungs) if part.rung is None else part.rung
        self.why = self.why or part.why
        self.is_settled, self.is_probe = True, part.is_probe

    def add(self, works: Sequence[Work[Payload]]) -> None:
        """Add works to a job that is not merged yet."""
        self._set_works([*self.works, *works])

    def leave(self, groups: Sequence[Sequence[int]]) -> list[Self]:
        """Remove groups of works, given as indices, and return each group as a job."""
        leaving = [
            replace(
                self,
                works=[self.works[index] for index in members],
                batch=self._slice_batch(members),
                in_flight=False,
                is_part=True,
                timings_ms=dict(self.timings_ms),
            )
            for members in groups
        ]
        staying = sorted(set(range(len(self.works))).difference(*groups))
        self.batch = self._slice_batch(staying)
        self._set_works([self.works[index] for index in staying])
        return leaving

    def request_indices(self, members: Sequence[int]) -> NDArray[np.int64]:
        """Return the works' request indices in the ragged batch, int64."""
        first = np.cumsum([0, *(work.request_count for work in self.works)])
        return np.concatenate([np.arange(first[member], first[member + 1]) for member in members])

    def _slice_batch(self, members: Sequence[int]) -> RaggedBatch | None:
        return None if self.batch is None else self.batch.take(self.request_indices(members))

    def _set_works(self, works: list[Work[Payload]]) -> None:
        self.works, self._first_due_s = works, None
        self.size = sum(work.candidate_count for work in works)

    def done(self, batch: RaggedBatch, elapsed_s: float, now_s: float, *, size: int | None = None) -> None:
        """Record that the present rung returned ``batch``.

        Args:
            batch: the result.
            elapsed_s: the time that the rung took.
            now_s: the present time.
            size: the number of candidates that the rung ran on. Default: the job's size.
        """
        ladder = self.ladder
        rung = ladder.rungs[self.rung]
        if self.rehearsed is None:
            rung.done(self.size if size is None else size, elapsed_s, now_s, is_probe=self.is_probe)
        self.timings_ms[ladder.name] = elapsed_s * 1e3
        if self.rung:
            batch = batch.missing(f"{ladder.name}:{rung.name}:{self.why}", range(len(batch)))
            self.is_degraded = True
        self.batch, self.next_stage, self.rung, self.why = batch, self.next_stage + 1, 0, None
        self.is_settled = self.is_probe = False

    def failed(self, error: BaseException, elapsed_s: float, now_s: float) -> None:
        """Record that the present rung failed after ``elapsed_s``. The rung below is next.

        If another unit has no time for these requests, the rung has not failed: other requests may have more time.
        """
        self.error = self.failure(error)
        if self.rehearsed is None and not isinstance(error, DeadlinePassed):
            self.ladder.rungs[self.rung].failed(now_s, probed_s=elapsed_s if self.is_probe else 0.0)
        self.use_rung_below("load" if isinstance(error, Overloaded) else "failed")

    def abandoned(self, elapsed_s: float, now_s: float, *, size: int) -> None:
        """Record that the last request has stopped waiting for the present rung, which ran on ``size`` candidates."""
        if self.rehearsed is None:
            self.ladder.rungs[self.rung].abandoned(size, elapsed_s, now_s, is_probe=self.is_probe)
        self.error = too_late()
        self.use_rung_below("late")

    def use_rung_below(self, why: Why) -> None:
        """Continue with the rung below."""
        self.why = why
        self.rung += 1
        self.is_settled = self.is_probe = False

    def failure(self, error: BaseException) -> ServiceError:
        """Return the error that the requests get if no rung is left after ``error``.

        The error is logged, unless it is a refusal, an error in the request, or already in the log.
        """
        if (
            isinstance(error, Overloaded | RequestError) or error is self.error
        ):  # not a fault, or already in the log
            return error
        name = "merge" if self.batch is None else self.ladder.name
        if isinstance(error, ServiceError):
            logger.error("stage %s failed on a batch of %d requests: %s", name, len(self.works), error)
            return error
        logger.error("stage %s failed on a batch of %d requests", name, len(self.works), exc_info=error)
        failure = StageFailed(f"stage {name} failed: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure
