"""A real redis-server for a benchmark: its own port, nothing on disk."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

_START_LIMIT_S = 10.0


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Run a server on loopback; give its port.

    Raises:
        SystemExit: there is none to run, or it does not start.
    """
    command = shutil.which("redis-server") or shutil.which("valkey-server")
    if command is None:
        raise SystemExit("no redis-server here: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        limit_s = time.monotonic() + _START_LIMIT_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > limit_s:
                raise SystemExit(f"{command} did not start on port {port}")
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with redis.Redis("127.0.0.1", port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
