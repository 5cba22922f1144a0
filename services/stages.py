"""Stages, and a batch on its way through them."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from models.ragged import RaggedBatch
from services.batching import Work
from services.errors import ServiceError, StageFailed

Payload = TypeVar("Payload")
logger = logging.getLogger("ray.serve")


class Stage(Protocol):
    """A synchronous map from ragged batch to ragged batch; runs on the model thread."""

    @property
    def name(self) -> str:
        """The stage's name in timings and metrics."""
        ...

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Give the batch with what the stage adds."""
        ...


class RemoteStage:
    """A stage done by another unit; awaited on the event loop."""

    def __init__(self, name: str, call: Callable[[RaggedBatch], Awaitable[RaggedBatch]]) -> None:
        """Wrap the awaitable call."""
        self.name = name
        self.call = call


class WaitingStage:
    """A stage that blocks on another process's answer; runs on an I/O thread, the model thread goes on."""

    def __init__(self, stage: Stage) -> None:
        """Wrap the stage; its calls may overlap."""
        self.name = stage.name
        self._stage = stage

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Give the batch with what the stage adds."""
        return self._stage(batch)


AnyStage = Stage | RemoteStage


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished batch and which of its requests are the caller's: [first, first + count)."""

    batch: RaggedBatch
    first: int
    queued_ms: float
    timings_ms: dict[str, float]


@dataclass(slots=True, eq=False)
class Job(Generic[Payload]):
    """A batch on its way through the stages; ``next_stage`` is the first not yet done."""

    works: list[Work[Payload]]
    dispatched_s: float
    stages: Sequence[AnyStage] = ()
    batch: RaggedBatch | None = None
    next_stage: int = 0
    timings_ms: dict[str, float] = field(default_factory=dict)

    def done(self, stage: str, elapsed_s: float) -> None:
        """Note that ``stage``, the next one, is done."""
        self.timings_ms[stage] = elapsed_s * 1e3
        self.next_stage += 1

    def failure(self, error: BaseException) -> ServiceError:
        """Give what the batch's requests are answered with when a stage raised ``error``."""
        if isinstance(error, ServiceError):
            return error
        name = "merge" if self.batch is None else self.stages[self.next_stage].name
        logger.error("stage %s failed on a batch of %d requests", name, len(self.works), exc_info=error)
        failure = StageFailed(f"stage {name} failed: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure
