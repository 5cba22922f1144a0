"""Work: a queue entry."""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

Payload = TypeVar("Payload")


class Work(msgspec.Struct, Generic[Payload], eq=False):
    """A queue entry: a request, or at a ranker unit a call with several requests.

    Attributes:
        payload: the caller's own data.
        candidate_count: the candidates in all its requests.
        deadline_s: when an answer becomes worthless, on the clock that ``Batcher.take`` uses.
        priority: higher is more urgent.
        release: the release that answers it.
        arrived_s: the time of its arrival, on the same clock.
        is_abandoned: returns whether the client has gone. It must not raise.
        urgent_s: the deadline that decides its place in the queue. Default: ``deadline_s``.
        queued: whether the work is waiting. The batcher sets it.
        due_s: ``urgent_s``, or else ``deadline_s``.
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
    queued: bool = False
    due_s: float = 0.0

    def __post_init__(self) -> None:
        """Set ``due_s``."""
        self.due_s = self.deadline_s if self.urgent_s is None else self.urgent_s

    def is_gone(self) -> bool:
        """Return whether the client has gone."""
        return self.is_abandoned is not None and self.is_abandoned()
