"""One Redis server in the request path: its open connections, and a circuit breaker.

This module never opens a connection. The handshakes (TCP, TLS, password) take several round trips. A batch cannot wait
that long. ``connector.py`` therefore opens connections on a separate thread. If no connection is open, a batch gets
default features. The kernel enforces the time-out on the socket. An answer that arrives in time therefore counts, even
if the event loop or the GIL is busy.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from threading import Lock

import redis
from redis.connection import Connection

from services.breaker import Breaker, BreakerConfig, State

logger = logging.getLogger("ray.serve")


class RedisNode:
    """The connections to one server. Several threads may use this object.

    Attributes:
        address: the host and port.
    """

    def __init__(self, address: tuple[str, int], size: int, breaker: BreakerConfig) -> None:
        """Start without connections.

        Args:
            address: the host and port.
            size: the connection count to keep open.
            breaker: when the server is skipped after failures, and for how long.
        """
        self.address = address
        self._size = size
        self._lock = Lock()
        # Guarded by the lock.
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._breaker = Breaker(breaker)
        self._closed = False

    @property
    def lacking(self) -> int:
        """The count of connections that are still to be opened."""
        with self._lock:
            return 0 if self._closed else self._size - self._open

    @property
    def state(self) -> State:
        """The breaker's state."""
        with self._lock:
            return self._breaker.state

    def add(self, connection: Connection) -> None:
        """Add a connection that is ready for batches."""
        with self._lock:
            if not self._closed:
                self._open += 1
                self._idle.append(connection)
                return
        connection.disconnect()

    def take(self) -> Connection | None:
        """Take an idle connection that the server has not closed.

        Returns:
            The connection. None if there is no such connection, or the breaker skips the server.
        """
        with self._lock:
            is_allowed, breaker = self._breaker.admit(time.monotonic())
            if not is_allowed:
                return None
            self._breaker = breaker
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or _is_quiet(connection):
                break
            self.drop(connection)
        if connection is None:
            self.failed("no connection is open")
        return connection

    def sweep(self) -> None:
        """Close the idle connections that the server has closed."""
        with self._lock:
            lost = [connection for connection in self._idle if not _is_quiet(connection)]
            self._idle = deque(connection for connection in self._idle if connection not in lost)
        for connection in lost:
            self.drop(connection)

    def give_back(self, connection: Connection) -> None:
        """Take back a connection after a successful answer."""
        with self._lock:
            before, self._breaker = self._breaker.state, self._breaker.succeeded()
            closed = self._closed
            if not closed:
                self._idle.append(connection)
        if closed:
            connection.disconnect()
        if before is not State.CLOSED:
            logger.warning("feature store %s:%d answers again", *self.address)

    def drop(self, connection: Connection) -> None:
        """Close a connection. Answers that still arrive on it are dropped."""
        connection.disconnect()
        with self._lock:
            self._open -= 1

    def failed(self, reason: str) -> None:
        """Count a batch that got no rows from this server."""
        with self._lock:
            before, self._breaker = self._breaker.state, self._breaker.failed(time.monotonic())
            after, config = self._breaker.state, self._breaker.config
        if before is State.CLOSED and after is State.OPEN:
            logger.error(
                "feature store %s:%d: %s; %d batches in a row got default features, next attempts every %.0f ms",
                *self.address,
                reason,
                config.failures,
                config.retry_after_ms,
            )

    def close(self) -> None:
        """Close the idle connections now, and the others when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
        for connection in idle:
            self.drop(connection)


def send(connection: Connection, commands: Sequence[Sequence[bytes]]) -> None:
    """Send all commands at once.

    Raises:
        redis.RedisError: the commands cannot be sent.
    """
    connection.send_packed_command(connection.pack_commands(commands), check_health=False)


def _is_quiet(connection: Connection) -> bool:
    """Return whether there is nothing to read: no end of the stream, and no late answer to an old command."""
    try:
        return not connection.can_read()
    except redis.RedisError:
        return False
