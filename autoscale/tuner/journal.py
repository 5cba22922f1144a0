"""A study's journal on disk: Optuna's format, without waiting for the disk at each of a trial's twenty lines."""

import json
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock


class Journal(JournalFileBackend):
    """Optuna's file, written through the operating system's cache.

    What a process wrote outlives that process; only a machine that stops may lose its last seconds, and a search
    goes on from before them. Optuna's own waits for the disk each time, a sixth of a second for each trial.
    """

    def __init__(self, path: Path) -> None:
        """Read and write ``path``."""
        lock = JournalFileOpenLock(str(path))
        super().__init__(str(path), lock)
        self._path, self._lock_object = path, lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines, all of them or none."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock_object.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(lines.encode())
        finally:
            self._lock_object.release()
