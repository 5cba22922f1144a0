"""A thread that repeats a small task until it is closed."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("ray.serve")


class PeriodicThread:
    """Runs ``task`` every ``period_s`` seconds on a daemon thread. By default, the first run comes after one period.

    If the task raises, the error is logged and the thread continues. ``stop`` and ``close`` end the wait for the next
    run.
    """

    def __init__(
        self,
        task: Callable[[], object],
        period_s: float,
        *,
        name: str,
        failure: str,
        at_start: bool = False,
        at_close: bool = False,
    ) -> None:
        """Prepare the thread. ``start`` starts it.

        Args:
            task: the function to repeat.
            period_s: seconds between two runs.
            name: the thread's name.
            failure: the message to log if the task raises.
            at_start: also run the task as soon as the thread starts.
            at_close: also run the task when the thread is stopped.
        """
        self._task, self._period_s, self._failure = task, period_s, failure
        self._at_start, self._at_close = at_start, at_close
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_stopping(self) -> bool:
        """Whether the thread is about to end. The task sees True in its last run."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the thread to end, without waiting for it."""
        self._stop.set()

    def close(self, limit_s: float | None = None) -> bool:
        """Stop the thread and wait for its end, for at most ``limit_s`` seconds. Return whether it has ended."""
        self.stop()
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    def cpu_s(self) -> float:
        """Return the CPU time that the running thread has used."""
        assert self._thread.ident is not None
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def _run(self) -> None:
        if self._at_start:
            self._run_task()
        while not self._stop.wait(self._period_s):
            self._run_task()
        if self._at_close:
            self._run_task()
        # The task's owner refers to this object. Breaking the cycle frees both without the garbage collector.
        del self._task

    def _run_task(self) -> None:
        try:
            self._task()
        except Exception:
            logger.exception("%s", self._failure)
