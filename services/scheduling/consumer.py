"""One executor's part of the work queue."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.scheduling.job import Job
from services.scheduling.work import Work

Payload = TypeVar("Payload")


@dataclass(slots=True, eq=False)
class Consumer(Generic[Payload]):
    """One executor's jobs, and the condition that it waits on. The work queue's lock guards them.

    Attributes:
        wake: a condition of the work queue's lock.
        ready: the jobs that the executor runs next.
        in_flight: the number of unfinished batches, except calls that have taken longer than the horizon.
        is_asleep: whether the executor waits for work.
    """

    max_in_flight: int
    wake: threading.Condition
    ready: "deque[Job[Payload]]" = field(default_factory=deque)
    in_flight: int = 0
    is_asleep: bool = False

    @property
    def has_room(self) -> bool:
        """Whether the executor may take another batch."""
        return self.in_flight < self.max_in_flight

    def begin(self, works: list[Work[Payload]], now_s: float) -> None:
        """Add a job that runs these works as one batch, which counts as in flight."""
        self.in_flight += 1
        self.ready.append(Job(works, now_s))

    def refuse(self, works: list[Work[Payload]], now_s: float) -> None:
        """Add a job that refuses these works as late. Without works, do nothing."""
        if works:
            self.ready.append(Job(works, now_s, in_flight=False, is_late=True))

    def sleep(self) -> None:
        """Release the lock and wait until another thread wakes the executor up."""
        self.is_asleep = True
        self.wake.wait()

    def wake_up(self) -> None:
        """Wake the executor up if it sleeps."""
        if self.is_asleep:
            self.is_asleep = False
            self.wake.notify()
