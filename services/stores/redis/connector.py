"""The connector: a thread that opens a Redis store's connections, and finds the nodes in a cluster.

Everything that takes more than one round trip happens on this thread, outside the request path.
"""

import logging
import threading
from collections.abc import Callable

import redis
from redis.connection import Connection

from services.breaker import BreakerConfig
from services.stores.redis.client import Address
from services.stores.redis.node import RedisNode

SLOTS = 16_384
_SWEEP_PERIOD_S = 1.0
logger = logging.getLogger("ray.serve")


class RedisConnector:
    """Keeps the connections to all nodes open until it is closed.

    Attributes:
        nodes: the servers by address.
        slots: the master for each slot in a cluster. The list is replaced as a whole, and is empty at first.
    """

    def __init__(
        self,
        *,
        seeds: list[Address],
        is_cluster: bool,
        connect: Callable[[Address], Connection],
        connections: int,
        breaker: BreakerConfig,
    ) -> None:
        """Start the thread.

        Args:
            seeds: the configured addresses.
            is_cluster: whether the servers are a cluster.
            connect: returns a connection that is ready for batches, or raises redis.RedisError.
            connections: the connection count for each node.
            breaker: when a failing node is skipped, and for how long.
        """
        self._seeds = seeds
        self._is_cluster = is_cluster
        self._connect = connect
        self._connections = connections
        self._breaker = breaker
        self._retry_s = breaker.retry_after_ms / 1e3
        self.nodes: dict[Address, RedisNode] = {}
        self.slots: list[RedisNode | None] = []
        if not is_cluster:
            self.nodes = {seeds[0]: RedisNode(seeds[0], connections, breaker)}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._stale = is_cluster
        self._last_fault: dict[Address, str] = {}
        self._thread = threading.Thread(target=self._run, name="redis-connector", daemon=True)
        self._thread.start()

    def settled(self, limit_s: float) -> bool:
        """Wait for the first attempt to connect to all nodes. Return whether it was over within the limit."""
        return self._settled.wait(limit_s)

    def look(self, *, moved: bool = False) -> None:
        """Wake the thread after a lost connection, or after the cluster has changed.

        Args:
            moved: whether a slot has moved to another node, so that the slots must be read again.
        """
        self._stale = self._stale or (moved and self._is_cluster)
        self._wake.set()

    def close(self) -> None:
        """Stop the thread, and close the idle connections."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        for node in self.nodes.values():
            node.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                is_complete = self._open_missing()
            except Exception:  # if this thread ended, the store would never be reconnected
                logger.exception("cannot restore the connections to the feature store")
                is_complete = False
            self._settled.set()
            if is_complete:
                self._wake.wait(_SWEEP_PERIOD_S)
            else:
                self._stop.wait(self._retry_s)

    def _open_missing(self) -> bool:
        """Open the missing connections. Return whether all are open."""
        if self._stale and not self._discover():
            return False
        is_complete = True
        for node in list(self.nodes.values()):
            node.sweep()
            while node.lacking and not self._stop.is_set():
                connection = self._try_connect(node.address)
                if connection is None:
                    is_complete = False
                    self._stale = self._is_cluster  # its slots may have moved to another node
                    break
                node.add(connection)
        return is_complete

    def _try_connect(self, address: Address) -> Connection | None:
        try:
            connection = self._connect(address)
        except (redis.RedisError, OSError, ValueError) as error:  # ValueError: a garbled handshake
            fault = f"{type(error).__name__}: {error}"
            if self._last_fault.get(address) != fault:
                logger.warning("feature store %s:%d cannot be reached: %s", *address, fault)
            self._last_fault[address] = fault
            return None
        self._last_fault.pop(address, None)
        return connection

    def _discover(self) -> bool:
        """Read the cluster's slots from any node. Return whether a node answered."""
        self._stale = False
        for address in dict.fromkeys([*self.nodes, *self._seeds]):
            connection = self._try_connect(address)
            if connection is None:
                continue
            try:
                connection.send_command("CLUSTER", "SLOTS", check_health=False)
                ranges = connection.read_response()
            except redis.RedisError as error:
                logger.warning("feature store %s:%d does not return its cluster slots: %s", *address, error)
                continue
            finally:
                connection.disconnect()
            self._set_slots(ranges, address[0])
            return True
        self._stale = True
        return False

    def _set_slots(self, ranges: list[list[object]], asked_host: str) -> None:
        nodes: dict[Address, RedisNode] = {}
        slots: list[RedisNode | None] = [None] * SLOTS
        for first, last, master, *_ in ranges:
            assert isinstance(first, int) and isinstance(last, int) and isinstance(master, list)
            # An empty host means the host that sent this answer.
            address = ((master[0] or b"").decode() or asked_host, int(master[1]))
            if address not in nodes:
                known = self.nodes.get(address)
                nodes[address] = known or RedisNode(address, self._connections, self._breaker)
            slots[first : last + 1] = [nodes[address]] * (last + 1 - first)
        removed = [node for address, node in self.nodes.items() if address not in nodes]
        self.nodes, self.slots = nodes, slots
        for node in removed:
            node.close()
