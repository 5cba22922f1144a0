"""The executor's side of the work queue: the jobs that are ready to run, and the model threads that wait for jobs."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.scheduling.job import Job
from services.scheduling.work import Work

Payload = TypeVar("Payload")


@dataclass(slots=True, eq=False)
class Taken(Generic[Payload]):
    """The jobs that have left the batcher, and the condition that model threads wait on.

    The work queue's lock guards all fields.

    Attributes:
        wake: a condition of the work queue's lock.
        ready: the jobs that model threads run next.
        in_flight: the number of unfinished batches, except calls that have taken longer than the horizon.
        sleeping: the number of model threads that wait for a job.
    """

    max_in_flight: int
    wake: threading.Condition
    ready: "deque[Job[Payload]]" = field(default_factory=deque)
    in_flight: int = 0
    sleeping: int = 0

    @property
    def has_room(self) -> bool:
        """Whether another batch may be taken."""
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
        """Release the lock and wait until another thread wakes this one up."""
        self.sleeping += 1
        self.wake.wait()

    def wake_up(self) -> None:
        """Wake one of the sleeping model threads up, if there is one."""
        if self.sleeping:
            self.sleeping -= 1
            self.wake.notify()
