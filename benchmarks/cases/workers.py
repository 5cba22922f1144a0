"""Worker processes that share one port, for servers without a supervisor of their own. Only the standard library."""

import signal
import socket
import subprocess
from collections.abc import Sequence


def shared_listener(port: int) -> socket.socket:
    """Return a socket bound to a loopback port that other processes may bind too (SO_REUSEPORT)."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def supervise(children: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Wait for all processes, and end them at SIGINT or SIGTERM. Return the worst exit code."""

    def stop(*_: object) -> None:
        for child in children:
            child.terminate()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return max(abs(child.wait()) for child in children)
