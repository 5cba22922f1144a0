"""A thread that does the same small task again and again until it is closed."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("ray.serve")


class PeriodicThread:
    """Runs ``task`` every ``period_s`` on a daemon thread. The first run comes after one period.

    An error of the task is logged, and the thread goes on. ``stop`` and ``close`` do not wait for the period to end.
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
        """Prepare the thread; ``start`` starts it.

        name: of the thread. failure: the log's message for an error of the task. at_start: run at once, too.
        at_close: run once more when it is stopped.
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
        """Return whether it is to end; the task sees it in the last run."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let the thread end, without waiting for it."""
        self._stop.set()

    def close(self, limit_s: float | None = None) -> bool:
        """Stop, and wait until the thread has ended, at most ``limit_s``; return whether it has."""
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
        del self._task  # its owner holds this object: without this, both would wait for the garbage collector

    def _run_task(self) -> None:
        try:
            self._task()
        except Exception:
            logger.exception("%s", self._failure)
