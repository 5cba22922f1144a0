"""A log of events with seconds since the start. It is printed, and written as JSON if a variable names a file."""

import json
import os
import sys
import threading
import time
from pathlib import Path

FILE = "RANKWAY_EMULATION_TIMELINE"


class Timeline:
    """One emulation's events. Several threads may add events."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._events: list[tuple[float, str, str]] = []
        self._lock = threading.Lock()

    def note(self, event: str, what: str = "") -> None:
        """Add an event that happens now."""
        with self._lock:
            self._events.append((time.monotonic() - self._began_s, event, what))
            print(self._line(*self._events[-1]), file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return "\n".join(self._line(*event) for event in self._events)

    def write(self) -> None:
        """Write the events to the file ``$RANKWAY_EMULATION_TIMELINE``, if it is set."""
        if (path := os.environ.get(FILE)) is not None:
            rows = [{"s": round(at_s, 2), "event": event, "what": what} for at_s, event, what in self._events]
            Path(path).write_text(json.dumps(rows, indent=1) + "\n")

    @staticmethod
    def _line(at_s: float, event: str, what: str) -> str:
        return f"{at_s:7.1f} s  {event:<14} {what}"
