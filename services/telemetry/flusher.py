"""The thread that passes recorded metrics to Ray."""

import logging
from collections.abc import Sequence
from typing import Protocol

from services.periodic import PeriodicThread

_FLUSH_PERIOD_S = 0.5
_FAILURE = "metrics could not be passed to Ray"
logger = logging.getLogger("ray.serve")


class Noted(Protocol):
    """An object with notes to pass to Ray."""

    def flush(self) -> None:
        """Pass the notes to Ray. Only the flusher's thread calls this."""
        ...


class Flusher:
    """The thread that passes notes to Ray."""

    def __init__(self, sources: Sequence[Noted]) -> None:
        """Start to flush ``sources`` periodically."""
        self._sources = sources
        self._thread = PeriodicThread(
            self._flush, _FLUSH_PERIOD_S, name="metrics", failure=_FAILURE, at_close=True
        )
        self._thread.start()

    def close(self) -> None:
        """Flush the remaining notes and stop."""
        self._thread.close()

    def _flush(self) -> None:
        for source in self._sources:
            try:
                source.flush()
            except Exception:  # otherwise the notes of the other sources would pile up
                logger.exception(_FAILURE)
