"""The thread that hands what was noted to Ray."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

_FLUSH_PERIOD_S = 0.5
logger = logging.getLogger("ray.serve")


class Noted(Protocol):
    """Something that has notes to hand to Ray."""

    def flush(self) -> None:
        """Hand them over; called from the flusher's thread alone."""
        ...


class Flusher:
    """The thread that hands notes to Ray."""

    def __init__(self, sources: Sequence[Noted]) -> None:
        """Start flushing ``sources``."""
        self._sources = sources
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Flush what is left and stop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(_FLUSH_PERIOD_S)
            for source in self._sources:
                try:
                    source.flush()
                except Exception:  # without this thread the notes would pile up
                    logger.exception("metrics could not be handed to Ray")
