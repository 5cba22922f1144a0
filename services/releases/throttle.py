"""Resting: work beside requests is done in pieces with rests between them, and so takes but a share of a core.

A low priority alone does not do. Such a thread still takes all that requests leave, and with it the processor's
caches and turns of the interpreter's lock: on a full machine a queue builds, which the next rest lets drain.
"""

import time
from collections.abc import Callable

Rest = Callable[[], None]
"""Called between two pieces of work."""
_LONGEST_S = 1.0
"""However large the piece was, its queue has drained by then."""


def no_rest() -> None:
    """Go on at once: nobody else needs the core."""


class Resting:
    """Rests after a piece of work in proportion to the processor's time that it took; for the thread that makes it."""

    def __init__(
        self,
        share: float,
        *,
        used_s: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take ``share`` of a core, at most; the first piece begins now."""
        self._rest_per_work = 1 / share - 1
        self._used_s, self._sleep = used_s, sleep
        self._rested_at_s = used_s()

    def __call__(self) -> None:
        """Rest from what was done since the last rest."""
        used_s = self._used_s()
        self._sleep(min(_LONGEST_S, (used_s - self._rested_at_s) * self._rest_per_work))
        self._rested_at_s = used_s
