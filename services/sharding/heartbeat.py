"""Heartbeats: a connection between rank 0 of a shard group and each other rank shows each that the other is alive.

Collectives report nothing while no batch runs, and block if a process hangs. Here a thread of each rank answers probes
at any time, and a thread of rank 0 sends a beat twice a second. A rank ends itself when rank 0 has ended, as no command
will come any more. If rank 0 hangs on the same machine, the rank kills it first, so that it is replaced.
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
class RankFault:
    """A rank that does not answer; ``is_final`` if it never will, as its process has ended."""

    rank: int
    is_final: bool

    def __str__(self) -> str:
        return f"rank {self.rank} {'has ended' if self.is_final else 'does not answer'}"


class HeartbeatMonitor:
    """Rank 0's end of all connections."""

    def __init__(self, host: str) -> None:
        """Listen on a free port of ``host``."""
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self.token = secrets.token_bytes(_TOKEN_BYTES)
        self._ranks: dict[int, socket.socket] = {}
        self._probing = threading.Lock()
        self._closed = threading.Event()

    def wait_for(self, ranks: int, limit_s: float) -> list[int]:
        """Wait until ranks 1 to ``ranks`` have connected; return those that have not."""
        until_s = time.monotonic() + limit_s
        while len(self._ranks) < ranks and (left_s := until_s - time.monotonic()) > 0:
            self._listener.settimeout(left_s)
            try:
                connection, _ = self._listener.accept()
                connection.settimeout(_ANSWER_LIMIT_S)
                hello = connection.recv(_HELLO_BYTES, socket.MSG_WAITALL)
            except OSError:
                continue
            if secrets.compare_digest(hello[:_TOKEN_BYTES], self.token) and len(hello) == _HELLO_BYTES:
                self._ranks[int.from_bytes(hello[_TOKEN_BYTES:], "little")] = connection
            else:
                connection.close()
        threading.Thread(target=self._beat, name="heartbeats", daemon=True).start()
        return [rank for rank in range(1, ranks + 1) if rank not in self._ranks]

    def probe(self) -> RankFault | None:
        """Probe every rank; return the first that has ended, or does not answer within a second."""
        with self._probing:
            waiting = dict(self._ranks)
            until_s = time.monotonic() + _ANSWER_LIMIT_S
            for rank, connection in self._ranks.items():
                try:
                    connection.send(b"?")
                except OSError:
                    return RankFault(rank, is_final=True)
            while waiting:
                left_s = until_s - time.monotonic()
                ready, _, _ = select.select(list(waiting.values()), [], [], max(0.0, left_s))
                if not ready:
                    return RankFault(min(waiting), is_final=False)
                for rank in [rank for rank, connection in waiting.items() if connection in ready]:
                    try:
                        answer = waiting.pop(rank).recv(4096)
                    except OSError:
                        answer = b""
                    if not answer:
                        return RankFault(rank, is_final=True)
        return None

    def close(self) -> None:
        """Close the connections, upon which all ranks end."""
        self._closed.set()
        self._listener.close()
        for connection in self._ranks.values():
            connection.close()

    def _beat(self) -> None:
        while not self._closed.wait(_BEAT_S):
            for connection in self._ranks.values():
                with suppress(OSError):  # the next probe reports it
                    connection.send(b".")


def answer_heartbeats(
    host: str, port: int, token: bytes, rank: int, limit_s: float, pid: int | None = None
) -> None:
    """Connect to rank 0, and answer its probes from now on; this process ends when rank 0 does.

    pid: rank 0's, if it is on this machine.

    Raises:
        OSError: nobody listens there.
    """
    connection = socket.create_connection((host, port), timeout=limit_s)
    connection.sendall(token + rank.to_bytes(4, "little"))
    threading.Thread(target=_answer, args=(connection, pid), name="heartbeat", daemon=True).start()


def _answer(connection: socket.socket, pid: int | None) -> None:
    try:
        while received := connection.recv(64):
            connection.settimeout(_SILENCE_LIMIT_S)  # from the first beat on
            if b"?" in received:
                connection.sendall(b"!")
    except TimeoutError:
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
    os._exit(_EXIT_STATUS)  # its other threads wait for something that will not come
