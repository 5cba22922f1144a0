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
    """The jobs that have left the batcher, and the model threads that wait for jobs.

    Attributes:
        lock: the work queue's lock, which guards all other fields.
        ready: the jobs that model threads run next.
        in_flight: the number of unfinished batches, except calls that have taken longer than the horizon.
        sleeping: a held lock for each model thread that waits for a job, the last one to sleep last.
    """

    max_in_flight: int
    lock: threading.Lock
    ready: "deque[Job[Payload]]" = field(default_factory=deque)
    in_flight: int = 0
    sleeping: list[threading.Lock] = field(default_factory=list)

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
        until_woken = threading.Lock()
        until_woken.acquire()
        self.sleeping.append(until_woken)
        self.lock.release()
        try:
            until_woken.acquire()
        finally:
            self.lock.acquire()

    def wake_up(self) -> None:
        """Wake the model thread that fell asleep last, if any sleeps.

        Its core still has the models' weights and code in its caches. A condition wakes the thread that has slept
        longest, so that the threads would take turns even if one alone could do all the work.
        """
        if self.sleeping:
            self.sleeping.pop().release()
