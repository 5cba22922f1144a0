"""Throttling: background work runs in steps with pauses between them, so it uses only a share of a core.

A lower thread priority is not enough: the thread still uses every idle cycle, evicts caches and competes for the GIL.
Under load, requests queue up during a step. The next pause lets the queue drain.
"""

import time
from collections.abc import Callable

_LONGEST_S = 1.0
"""The longest pause. Even after a long step the queue has drained by then."""


class Throttle:
    """Pauses after each step, in proportion to its processor time. Use it only in the thread that made it."""

    def __init__(
        self,
        share: float,
        *,
        used_s: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin the first step.

        Args:
            share: the share of a core that the work may use, above 0 and at most 1.
            used_s: returns this thread's processor time in seconds.
            sleep: pauses for the given seconds.
        """
        self._pause_per_work = 1 / share - 1
        self._used_s, self._sleep = used_s, sleep
        self._paused_at_s = used_s()

    def __call__(self) -> None:
        """Pause in proportion to the work since the last pause, for at most 1 s."""
        used_s = self._used_s()
        self._sleep(min(_LONGEST_S, (used_s - self._paused_at_s) * self._pause_per_work))
        self._paused_at_s = used_s
