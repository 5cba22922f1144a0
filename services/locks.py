"""Turns: what burdens a machine, or writes one place, is done by one process after another."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_PERIOD_S = 0.02


@contextmanager
def one_at_a_time(name: str, limit_s: float) -> Iterator[bool]:
    """Wait until no other process of this user and machine does what ``name`` says; at most ``limit_s``, then go on.

    Gives whether it has its turn; the system ends that of a process that dies.
    """
    path = Path(tempfile.gettempdir()) / f"rankway-{name}-{os.getuid()}.lock"
    until_s = time.monotonic() + limit_s
    with path.open("a") as file:
        while not (taken := _taken(file.fileno())) and time.monotonic() < until_s:
            time.sleep(_POLL_PERIOD_S)
        yield taken


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock; the system frees it when the process ends, however it does."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
