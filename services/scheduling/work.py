"""Work: one entry of the queue."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Payload = TypeVar("Payload")


@dataclass(slots=True, eq=False)
class Work(Generic[Payload]):
    """One entry of the queue: a request, or at a ranker unit a call of several requests.

    deadline_s: when an answer is worthless, on the clock that ``take`` is given. urgent_s: the deadline by which the
    work is queued, if that is another. is_abandoned: returns whether the client has gone; must not raise.
    queued: True while the work waits; the batcher sets it. due_s: the deadline by which it is queued.
    """

    payload: Payload
    candidate_count: int
    request_count: int
    deadline_s: float
    priority: int
    release: str
    arrived_s: float
    is_abandoned: Callable[[], bool] | None = None
    urgent_s: float | None = None
    queued: bool = field(default=False, init=False)
    due_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Choose the deadline by which it is queued."""
        self.due_s = self.deadline_s if self.urgent_s is None else self.urgent_s

    def is_gone(self) -> bool:
        """Return whether the client has gone."""
        return self.is_abandoned is not None and self.is_abandoned()
