"""Run a check in a process of its own, because opening a model may crash the process, never end, or fill the memory."""

import ctypes
import json
import os
import signal
import time
from collections.abc import Callable
from select import select
from typing import NoReturn

from services.errors import ConfigError

LIMIT_S = 300.0
"""As long as ``rankway serve`` waits for its replicas."""
_CHUNK_BYTES = 65_536
_PR_SET_PDEATHSIG = 1
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def tried(work: Callable[[], list[str]], limit_s: float = LIMIT_S) -> list[str]:
    """Return the faults that ``work`` finds in a forked process.

    Native code cannot be interrupted. So Ctrl-C, the time limit and the end of this process kill the forked one.

    Args:
        work: the check. Its changes to objects of this process are lost.
        limit_s: the time limit.

    Raises:
        ConfigError: the process ended without an answer, or exceeded the time limit.
    """
    reading, writing = os.pipe()
    # An exception of a signal handler inside ``fork`` would leave the locks of ``logging`` locked.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(work, writing, mask)
    os.close(writing)
    answer = None
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        answer = _read_all(reading, time.monotonic() + limit_s)
    finally:
        if answer is None:
            os.kill(child, signal.SIGKILL)
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if answer is None:
        raise ConfigError(
            f"the model was not opened and run on a batch within {limit_s:g} s; make it smaller, or check that it ends"
        )
    if not answer:
        raise ConfigError(_why_silent(os.waitstatus_to_exitcode(status)))
    faults: list[str] = json.loads(answer)
    return faults


def _answer(work: Callable[[], list[str]], writing: int, mask: set[int | signal.Signals]) -> NoReturn:
    """Write the faults to the pipe, and end this process without the clean-up that belongs to its parent."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(work()).encode())
        status = 0
    finally:
        os._exit(status)


def _read_all(reading: int, end_s: float) -> bytes | None:
    """Return everything from the pipe, or None if it is still open at ``end_s``."""
    parts: list[bytes] = []
    while True:
        ready, _, _ = select([reading], [], [], max(0.0, end_s - time.monotonic()))
        if not ready:
            return None
        part = os.read(reading, _CHUNK_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _why_silent(code: int) -> str:
    if code == -signal.SIGKILL:
        return "the process that opened the model was killed, probably for lack of memory; free or add memory"
    reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
    return f"the process that opened the model ended with {reason}; correct the model, or choose another runtime for it"
