"""Heartbeats: rank 0 has a connection to each other rank. Both ends notice if the other rank has ended or hangs.

Collectives cannot show this: they report nothing while no batch runs, and block if a process hangs. Here a thread in
each rank answers probes at any time, and a thread in rank 0 sends a beat twice a second. A rank ends its own process
when rank 0 has ended, because no more commands will come. If rank 0 hangs on the same machine, the rank first kills
rank 0, so that Serve replaces it.
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
    """A rank that does not answer.

    Attributes:
        rank: the rank's number.
        is_final: whether the process has ended, so that it will never answer again.
    """

    rank: int
    is_final: bool

    def __str__(self) -> str:
        return f"rank {self.rank} {'has ended' if self.is_final else 'does not answer'}"


class HeartbeatMonitor:
    """Rank 0's heartbeat connections to all other ranks.

    Attributes:
        port: the port on which rank 0 listens.
        token: the secret that a rank must send when it connects.
    """

    def __init__(self, host: str) -> None:
        """Listen on a free port of ``host``."""
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self.token = secrets.token_bytes(_TOKEN_BYTES)
        self._ranks: dict[int, socket.socket] = {}
        self._probing = threading.Lock()
        self._closed = threading.Event()

    def wait_for(self, ranks: int, limit_s: float) -> list[int]:
        """Wait until ranks 1 to ``ranks`` have connected, and start to send beats.

        Returns:
            The ranks that have not connected within ``limit_s``.
        """
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
        """Probe every rank. Return a fault if a rank has ended, or does not answer within 0.7 s."""
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
        """Close the connections. All other ranks then end."""
        self._closed.set()
        self._listener.close()
        for connection in self._ranks.values():
            connection.close()

    def _beat(self) -> None:
        while not self._closed.wait(_BEAT_S):
            for connection in self._ranks.values():
                with suppress(OSError):  # the next probe reports the lost connection
                    connection.send(b".")


def answer_heartbeats(
    host: str, port: int, token: bytes, rank: int, limit_s: float, pid: int | None = None
) -> None:
    """Connect to rank 0, and answer its probes in a thread. This process ends when rank 0 ends or hangs.

    After the first beat, rank 0 is said to hang if it sends no further beat for 3 s.

    Args:
        host: rank 0's address.
        port: rank 0's heartbeat port.
        token: the group's secret.
        rank: this rank's number.
        limit_s: seconds to wait for the connection, and then for the first beat.
        pid: rank 0's process id, to kill it if it hangs. None if rank 0 is on another machine.

    Raises:
        OSError: the connection failed.
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
    os._exit(_EXIT_STATUS)  # the other threads wait for rank 0 and would keep the process alive
