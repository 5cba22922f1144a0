"""File locks between processes: they serialise work that loads the whole machine or writes the same path.

If a process ends or is killed, the system frees its lock. A file system that has no locks raises an error.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_POLL_PERIOD_S = 0.02


@contextmanager
def host_lock(name: str, limit_s: float) -> Iterator[bool]:
    """Wait until no other process of this user on this machine does the work called ``name``.

    After ``limit_s`` seconds, continue without the lock.

    Yields:
        Whether this process has the lock.
    """
    lock = _lock(Path(tempfile.gettempdir()) / f"rankway-{name}-{os.getuid()}.lock")
    try:
        lock.acquire(timeout=limit_s)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the exclusive lock at ``path``. Create its folder if it is missing.

    Raises:
        OSError: the lock file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        yield


def _lock(path: Path) -> FileLock:
    return FileLock(path, poll_interval=_POLL_PERIOD_S, fallback_to_soft=False)
