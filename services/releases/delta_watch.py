"""Watches the deltas of the loaded catalogues, and lets the replica take new ones."""

import asyncio
import logging
import time
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path

from services.errors import ReleaseError
from services.periodic import PeriodicThread
from services.releases.live import LiveReleases
from services.telemetry.features import RowMetrics

logger = logging.getLogger("ray.serve")
_POLL_S = 0.1
_Seen = tuple[Path, int, int]
"""A file with its inode and modification time."""


class DeltaWatch:
    """The thread that looks for deltas."""

    def __init__(
        self, live: LiveReleases, period_s: float, metrics: RowMetrics, *, settle_s: float = 0.0
    ) -> None:
        """Look every ``period_s`` seconds. Call it inside the event loop that uses ``live``.

        Args:
            live: the replica's releases.
            period_s: seconds between two looks.
            metrics: counts the deltas that were taken or refused.
            settle_s: seconds to wait after a delta was seen first. The ranker's unit, which gets the rows of a
                catalogue from this unit, then has it before.
        """
        self._live, self._metrics, self._settle_s = live, metrics, settle_s
        self._event_loop = asyncio.get_running_loop()
        self._first_seen: tuple[_Seen | None, float] = (None, 0.0)
        self._refused: _Seen | None = None
        self._thread = PeriodicThread(
            self._look, period_s, name="deltas", failure="deltas of the catalogue could not be taken"
        )
        self._thread.start()

    def close(self) -> None:
        """Stop looking, and wait for the thread. A delta that is being taken may still be taken."""
        self._thread.close()

    def _look(self) -> None:
        seen = self._next()
        if seen is None or seen == self._refused or self._thread.is_stopping:
            return
        if self._first_seen[0] != seen:
            self._first_seen = seen, time.monotonic()
        if time.monotonic() - self._first_seen[1] < self._settle_s:
            return
        try:
            self._take()
        except ReleaseError as error:
            self._refused = seen
            logger.error("catalogue: a delta cannot be used, so the present items stay: %s", error)
            self._metrics.refreshed("deltas", "refused")
        else:
            self._refused = None
            self._metrics.refreshed("deltas", "taken")

    def _next(self) -> _Seen | None:
        """Return the first delta that a loaded release does not have. None if there is none."""
        for loaded in self._live.loaded:
            path = loaded.release.deltas.next_path(loaded.release.catalogue)
            try:
                status = path.stat()
            except OSError:
                continue
            return path, status.st_ino, status.st_mtime_ns
        return None

    def _take(self) -> None:
        taking = asyncio.run_coroutine_threadsafe(self._live.catch_up(), self._event_loop)
        while not self._thread.is_stopping:
            try:
                return taking.result(_POLL_S)
            except NotYet:
                if taking.done():
                    raise
