"""A real redis-server for a benchmark, on its own port. It writes to disk only in ``save``."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

_START_LIMIT_S = 20.0


class RedisServer:
    """One server's process."""

    def __init__(self, folder: Path) -> None:
        """Start the server on a free loopback port.

        Raises:
            SystemExit: redis-server is not installed, or it does not start.
        """
        command = shutil.which("redis-server") or shutil.which("valkey-server")
        if command is None:
            raise SystemExit("redis-server is not installed; run apt-get install redis-server")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self._command = [command, *options]
        self._process = self._started()

    def client(self) -> "redis.Redis":
        """Return a new client."""
        return redis.Redis("127.0.0.1", self.port, socket_timeout=10)

    def save(self) -> None:
        """Write the rows to disk, so that ``restart`` loads them."""
        with self.client() as client:
            client.save()

    def kill(self) -> None:
        """End the process like kill -9."""
        self._process.kill()
        self._process.wait(10)

    def restart(self) -> None:
        """Start the server again after ``kill``, and wait until it answers."""
        self._process = self._started()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the process with SIGCONT."""
        os.kill(self._process.pid, signal.SIGCONT)

    def _started(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        limit_s = time.monotonic() + _START_LIMIT_S
        while not self._answers():
            if process.poll() is not None or time.monotonic() > limit_s:
                raise SystemExit(f"{self._command[0]} did not start on port {self.port}")
            time.sleep(0.02)
        return process

    def _answers(self) -> bool:
        try:
            with redis.Redis("127.0.0.1", self.port, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:  # it is starting, or loading its rows
            return False


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Run a server until the block ends.

    Raises:
        SystemExit: redis-server is not installed, or it does not start.
    """
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
