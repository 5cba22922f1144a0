"""Real Redis servers on free ports, for tests. Without redis-server these tests are skipped."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from services.stores.base import Reading
from services.stores.kinds.redis import RedisConfig
from services.stores.redis.store import RedisStore
from tests.services.processes import free_port

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
needs_redis = pytest.mark.skipif(SERVER is None, reason="no redis-server here: apt-get install redis-server")
_START_LIMIT_S = 10.0
# A long time-out, so that a busy machine's pauses are no failures, and a short time until the next attempt.
PATIENT: dict[str, Any] = {"timeout_ms": 2000, "breaker": {"failures": 2, "retry_after_ms": 50}}


class RedisServer:
    """One server's process. Its data are only in memory."""

    def __init__(self, folder: Path, *arguments: str, tls: bool = False) -> None:
        """Start on a free port."""
        self.port = free_port()
        self._folder = folder
        self._arguments = arguments
        self._tls = tls
        self.process = self._start()

    @property
    def node(self) -> str:
        """The host and port, as in a configuration."""
        return f"127.0.0.1:{self.port}"

    def client(self, **options: Any) -> redis.Redis:
        """Return a client of redis-py."""
        return redis.Redis("127.0.0.1", self.port, socket_timeout=5, **options)

    def ask(self, *command: str | int) -> Any:
        """Return the answer to one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def wait(self, **options: Any) -> None:
        """Wait until the server answers a PING."""

        def answers() -> bool:
            assert self.process.poll() is None, "redis-server ended"
            try:
                with self.client(**options) as client:
                    return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

        until(answers)

    def kill(self) -> None:
        """End the server like a crash."""
        self.process.kill()
        self.process.wait(10)

    def restart(self) -> None:
        """Start the server again on the same port."""
        self.process = self._start()
        self.wait()

    def freeze(self) -> None:
        """Suspend the server: its connections stay open, but it answers nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the server."""
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the server, also if it is suspended or has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def _start(self) -> subprocess.Popen[bytes]:
        assert SERVER is not None
        port = ["--port", "0", "--tls-port", str(self.port)] if self._tls else ["--port", str(self.port)]
        return subprocess.Popen(
            [
                SERVER,
                *port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(self._folder),
                *self._arguments,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def redis_server(folder: Path, *arguments: str, **options: Any) -> Iterator[RedisServer]:
    """Run a server that is ready when the block begins.

    Args:
        folder: the server's working folder.
        arguments: more arguments for redis-server.
        options: options for the client that waits for the server.
    """
    server = RedisServer(folder, *arguments)
    try:
        server.wait(**options)
        yield server
    finally:
        server.stop()


@contextmanager
def redis_cluster(folder: Path, nodes: int = 3) -> Iterator[list[RedisServer]]:
    """Run a cluster of masters with equal slot shares. It is ready when the block begins."""
    with ExitStack() as stack:
        servers = []
        for number in range(nodes):
            own = folder / f"node{number}"
            own.mkdir()
            # The cluster bus's default port is 10,000 higher, which may exceed the highest port number.
            arguments = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
            arguments += ["--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000"]
            servers.append(stack.enter_context(redis_server(own, *arguments)))
        for number, server in enumerate(servers):
            first, last = 16384 * number // nodes, 16384 * (number + 1) // nodes - 1
            server.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            for other in servers[:number]:
                bus = other._arguments[other._arguments.index("--cluster-port") + 1]
                server.ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        until(lambda: all(_knows_all(server, nodes) for server in servers), 20)
        yield servers


def _knows_all(server: RedisServer, nodes: int) -> bool:
    return len(server.ask("CLUSTER", "SLOTS")) == nodes and "cluster_state:ok" in str(
        server.ask("CLUSTER", "INFO")
    )


def until(holds: Callable[[], bool], limit_s: float = _START_LIMIT_S) -> None:
    """Wait until a condition about another process holds."""
    end_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end_s, f"the condition did not hold within {limit_s} s"
        time.sleep(0.005)


@contextmanager
def reading(folder: Path, *servers: RedisServer, **changes: Any) -> Iterator[RedisStore]:
    """Open a store with the given servers."""
    nodes = [server.node for server in servers]
    store = RedisStore(
        RedisConfig.model_validate({"kind": "redis", "nodes": nodes, **PATIENT, **changes}), folder
    )
    try:
        yield store
    finally:
        store.close()


def until_read(store: RedisStore, keys: Sequence[bytes]) -> Reading:
    """Read until no key is unread, as requests would, and return that reading."""
    readings: list[Reading] = []
    until(lambda: not (readings.append(store.read_many(keys)) or readings[-1].unread), 15)  # type: ignore[func-returns-value]
    return readings[-1]
