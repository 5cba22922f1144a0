"""Throttling: work beside requests is done in steps with pauses between them, and so takes only a share of a core.

Lowering the thread's priority is not enough: it still uses every idle cycle, evicts caches and competes for the
interpreter's lock. Under load a queue of requests builds up; the next pause lets it drain.
"""

import time
from collections.abc import Callable

_LONGEST_S = 1.0
"""However long the step was, its queue has drained by then."""


class Throttle:
    """Pauses after a step in proportion to the processor time that it took; for the thread that makes it."""

    def __init__(
        self,
        share: float,
        *,
        used_s: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use at most ``share`` of a core; the first step begins now."""
        self._pause_per_work = 1 / share - 1
        self._used_s, self._sleep = used_s, sleep
        self._paused_at_s = used_s()

    def __call__(self) -> None:
        """Pause for the work since the last pause."""
        used_s = self._used_s()
        self._sleep(min(_LONGEST_S, (used_s - self._paused_at_s) * self._pause_per_work))
        self._paused_at_s = used_s
