"""Stages: the steps that a batch goes through, by where they are done."""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from models.ragged import RaggedBatch

Why = Literal["failed", "late", "load"]
"""Why a stage did not run at its best. failed: it raised, or its breaker is open. late: it would miss, or missed, the
deadline. load: it would make waiting requests late."""


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
