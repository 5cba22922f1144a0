"""Lifelines: a connection between rank 0 of a shard group and each other rank, by which each learns that one is gone.

Collectives say nothing while no batch runs, and wait where a process hangs. Here a thread of each rank answers whenever
it is asked; one of rank 0 gives a sign of life twice a second. A rank whose rank 0 is gone ends, as nobody will ask
it for anything; one whose rank 0 hangs ends that too, where it is on the same machine, so that it can be replaced.
"""

import os
import secrets
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

_TOKEN_BYTES = 16
_HELLO_BYTES = _TOKEN_BYTES + 4
_ANSWER_LIMIT_S = 0.7
_EXIT_STATUS = 1
_BEAT_S = 0.5
_SILENCE_LIMIT_S = 3.0


@dataclass(frozen=True)
class Fault:
    """A rank that does not answer; ``is_final`` where it never will, as its process has ended."""

    rank: int
    is_final: bool

    def __str__(self) -> str:
        return f"rank {self.rank} {'has ended' if self.is_final else 'does not answer'}"


class Lifelines:
    """Rank 0's ends."""

    def __init__(self, host: str) -> None:
        """Listen on a free port of ``host``."""
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self.token = secrets.token_bytes(_TOKEN_BYTES)
        self._ranks: dict[int, socket.socket] = {}
        self._asking = threading.Lock()
        self._closed = threading.Event()

    def wait_for(self, ranks: int, limit_s: float) -> list[int]:
        """Wait until so many have called in; give those of 1 to ``ranks`` that have not."""
        until_s = time.monotonic() + limit_s
        while len(self._ranks) < ranks and (left_s := until_s - time.monotonic()) > 0:
            self._listener.settimeout(left_s)
            try:
                line, _ = self._listener.accept()
                line.settimeout(_ANSWER_LIMIT_S)
                hello = line.recv(_HELLO_BYTES, socket.MSG_WAITALL)
            except OSError:
                continue
            if secrets.compare_digest(hello[:_TOKEN_BYTES], self.token) and len(hello) == _HELLO_BYTES:
                self._ranks[int.from_bytes(hello[_TOKEN_BYTES:], "little")] = line
            else:
                line.close()
        threading.Thread(target=self._beat, name="lifelines", daemon=True).start()
        return [rank for rank in range(1, ranks + 1) if rank not in self._ranks]

    def fault(self) -> Fault | None:
        """Ask every rank; say which has ended, or does not answer within a second."""
        with self._asking:
            waiting = dict(self._ranks)
            until_s = time.monotonic() + _ANSWER_LIMIT_S
            for rank, line in self._ranks.items():
                try:
                    line.send(b"?")
                except OSError:
                    return Fault(rank, is_final=True)
            while waiting:
                left_s = until_s - time.monotonic()
                ready, _, _ = select.select(list(waiting.values()), [], [], max(0.0, left_s))
                if not ready:
                    return Fault(min(waiting), is_final=False)
                for rank in [rank for rank, line in waiting.items() if line in ready]:
                    try:
                        answer = waiting.pop(rank).recv(4096)
                    except OSError:
                        answer = b""
                    if not answer:
                        return Fault(rank, is_final=True)
        return None

    def close(self) -> None:
        """Let all ranks end."""
        self._closed.set()
        self._listener.close()
        for line in self._ranks.values():
            line.close()

    def _beat(self) -> None:
        while not self._closed.wait(_BEAT_S):
            for line in self._ranks.values():
                with suppress(OSError):  # whoever asks next hears of it
                    line.send(b".")


def hold(host: str, port: int, token: bytes, rank: int, limit_s: float, pid: int | None = None) -> None:
    """Call in at rank 0, and answer it from now on; this process ends when that one does.

    pid: rank 0's, where it is on this machine.

    Raises:
        OSError: nobody listens there.
    """
    line = socket.create_connection((host, port), timeout=limit_s)
    line.sendall(token + rank.to_bytes(4, "little"))
    threading.Thread(target=_answer, args=(line, pid), name="lifeline", daemon=True).start()


def _answer(line: socket.socket, pid: int | None) -> None:
    try:
        while asked := line.recv(64):
            line.settimeout(_SILENCE_LIMIT_S)  # from its first sign of life on
            if b"?" in asked:
                line.sendall(b"!")
    except TimeoutError:
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
    os._exit(_EXIT_STATUS)  # whatever its other threads wait for will not come
