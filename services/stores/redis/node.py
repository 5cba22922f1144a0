"""One Redis server as the request path sees it: open connections, and a breaker over them.

Nothing here connects. A connection's handshakes (TCP, TLS, password) take several round trips and much longer
than a batch may wait, so ``connector.py`` makes connections on a thread of its own, and a batch that finds none
goes without. The time-out is the kernel's, on the socket: an event loop or an interpreter lock that is late
itself does not make an answer late that has come.
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
    """Connections of one server; called from several threads."""

    def __init__(self, address: tuple[str, int], size: int, breaker: BreakerConfig) -> None:
        """Hold at most ``size`` connections, none as yet."""
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
        """How many connections it could hold more."""
        with self._lock:
            return 0 if self._closed else self._size - self._open

    @property
    def state(self) -> State:
        """The breaker's state."""
        with self._lock:
            return self._breaker.state

    def add(self, connection: Connection) -> None:
        """Take over a connection that is ready."""
        with self._lock:
            if not self._closed:
                self._open += 1
                self._idle.append(connection)
                return
        connection.disconnect()

    def take(self) -> Connection | None:
        """Give a connection that was not closed from the other side; None if there is none, or none may be used."""
        with self._lock:
            may, breaker = self._breaker.asked(time.monotonic())
            if not may:
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
        """Close what the other side closed while nobody read."""
        with self._lock:
            lost = [connection for connection in self._idle if not _is_quiet(connection)]
            self._idle = deque(connection for connection in self._idle if connection not in lost)
        for connection in lost:
            self.drop(connection)

    def give_back(self, connection: Connection) -> None:
        """Take back a connection that answered."""
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
        """Close a connection; what was asked on it may still come, to nobody."""
        connection.disconnect()
        with self._lock:
            self._open -= 1

    def failed(self, reason: str) -> None:
        """Note that a batch went without."""
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
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
        for connection in idle:
            self.drop(connection)


def send(connection: Connection, commands: Sequence[Sequence[bytes]]) -> None:
    """Send commands in one go.

    Raises:
        redis.RedisError: they cannot be sent.
    """
    connection.send_packed_command(connection.pack_commands(commands), check_health=False)


def _is_quiet(connection: Connection) -> bool:
    """Whether nothing waits to be read: the end of the stream, or an answer to nobody, would."""
    try:
        return not connection.can_read()
    except redis.RedisError:
        return False
