"""One executor's side of the work queue."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.scheduling.job import Job
from services.scheduling.work import Work

Payload = TypeVar("Payload")


@dataclass(slots=True, eq=False)
class Consumer(Generic[Payload]):
    """The jobs of one executor, and where it sleeps. The work queue's lock guards it.

    max_in_flight: the batches that it may have in flight. wake: a condition of the work queue's lock.
    ready: the jobs it runs next. in_flight: the batches that it took and has not finished.
    """

    max_in_flight: int
    wake: threading.Condition
    ready: "deque[Job[Payload]]" = field(default_factory=deque)
    in_flight: int = 0
    is_asleep: bool = False

    @property
    def has_room(self) -> bool:
        """Whether it may take another batch."""
        return self.in_flight < self.max_in_flight

    def begin(self, works: list[Work[Payload]], now_s: float) -> None:
        """Run these works as a batch in flight."""
        self.in_flight += 1
        self.ready.append(Job(works, now_s))

    def refuse(self, works: list[Work[Payload]], now_s: float) -> None:
        """Refuse these works for being late, if there are any."""
        if works:
            self.ready.append(Job(works, now_s, in_flight=False, is_late=True))

    def sleep(self) -> None:
        """Wait until another thread wakes it up, without the lock."""
        self.is_asleep = True
        self.wake.wait()

    def wake_up(self) -> None:
        """Wake it up if it sleeps."""
        if self.is_asleep:
            self.is_asleep = False
            self.wake.notify()
