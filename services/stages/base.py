"""Stages: the steps that a batch goes through. Their types differ by the place where they run."""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from models.ragged import RaggedBatch

Why = Literal["failed", "late", "load"]
"""Why a stage did not run at its best rung.

- failed: it raised, or its breaker is open.
- late: it missed the deadline, or would have missed it.
- load: it would make waiting requests late.
"""


class Stage(Protocol):
    """A synchronous function from ragged batch to ragged batch. It runs on the model thread."""

    @property
    def name(self) -> str:
        """The stage's name in timings and metrics."""
        ...

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with the stage's results."""
        ...


class RemoteStage:
    """A stage that runs in another unit. It is awaited on the event loop."""

    def __init__(self, name: str, call: Callable[[RaggedBatch], Awaitable[RaggedBatch]]) -> None:
        """Wrap the awaitable call."""
        self.name = name
        self.call = call


class WaitingStage:
    """A stage that waits for another process. It runs on an I/O thread, so the model thread can continue."""

    def __init__(self, stage: Stage) -> None:
        """Wrap the stage. Its calls may overlap."""
        self.name = stage.name
        self._stage = stage

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        """Return the batch with the stage's results."""
        return self._stage(batch)


AnyStage = Stage | RemoteStage
