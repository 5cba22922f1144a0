"""The thread that hands what was noted to Ray."""

import logging
from collections.abc import Sequence
from typing import Protocol

from services.periodic import PeriodicThread

_FLUSH_PERIOD_S = 0.5
_FAILURE = "metrics could not be passed to Ray"
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
        self._thread = PeriodicThread(
            self._flush, _FLUSH_PERIOD_S, name="metrics", failure=_FAILURE, at_close=True
        )
        self._thread.start()

    def close(self) -> None:
        """Flush what is left and stop."""
        self._thread.close()

    def _flush(self) -> None:
        for source in self._sources:
            try:
                source.flush()
            except Exception:  # the other sources' notes would pile up
                logger.exception(_FAILURE)
