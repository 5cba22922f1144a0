"""Redis or Valkey, one server or a cluster: a batch's rows in one pipelined round trip to each node.

A single server gets one MGET. In a cluster a user's keys share a slot (their hash tag is the user id), every
slot gets an MGET, and all nodes are written to before any is read from. A node that is slow, dead or refuses
costs at most the time-out, and its users' rows count as unread; the others have theirs.

Reads block, and run on the runner's I/O threads (``services.stages.base.WaitingStage``), so that the model thread
scores another batch meanwhile, however slow the store. For 16 users on loopback that takes 0.12 ms there and back; the
model thread itself would have them in 0.07, and redis-py's asyncio client on the event loop in 0.20. An event loop
that is late itself would also see an answer late and call it missing; the kernel's time-out on a socket does not.
"""

import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import redis
from redis.connection import Connection
from redis.crc import key_slot

from services.breaker import State
from services.stores.base import Reading
from services.stores.kinds.redis import RedisConfig
from services.stores.redis.client import addresses_of, connector
from services.stores.redis.connector import RedisConnector
from services.stores.redis.node import RedisNode, send

Groups = list[list[int]]
"""Places of keys that one command asks for: all of them, or in a cluster those of one slot."""
_LATEST_S = 1e-4  # past the deadline an answer that has come is still taken


class RedisStore:
    """Rows by key, read from Redis."""

    waits = True

    def __init__(self, config: RedisConfig, home: Path, readers: int = 1) -> None:
        """Connect in the background; wait for the first connections, but not for a server that is not there.

        readers: how many threads may read at once; each finds a connection to every node.

        Raises:
            ConfigError: the password or a certificate is not where the config says.
        """
        self._prefix = config.prefix.encode()
        self._timeout_s = config.timeout_ms / 1e3
        self._is_cluster = config.cluster
        self._connector = RedisConnector(
            seeds=addresses_of(config),
            is_cluster=config.cluster,
            connect=connector(config, home),
            connections=readers,
            breaker=config.breaker,
        )
        self._connector.settled(2 * config.connect_timeout_ms / 1e3)

    @property
    def left_alone(self) -> int:
        """How many nodes' breakers are not closed."""
        return sum(node.state is not State.CLOSED for node in list(self._connector.nodes.values()))

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys; those of a node that does not answer in time are unread."""
        if not keys:
            return Reading([])
        rows: list[bytes | None] = [None] * len(keys)
        unread: list[int] = []
        calls: list[tuple[RedisNode, Connection, Groups]] = []
        deadline_s = time.monotonic() + self._timeout_s
        for node, groups in self._grouped(keys):
            connection = None if node is None else self._ask(node, groups, keys)
            if node is None or connection is None:
                unread += chain.from_iterable(groups)
                self._connector.look()
            else:
                calls.append((node, connection, groups))
        for node, connection, groups in calls:
            unread += self._receive(node, connection, groups, rows, deadline_s)
        return Reading(rows, sorted(unread))

    def _ask(self, node: RedisNode, groups: Groups, keys: Sequence[bytes]) -> Connection | None:
        connection = node.take()
        if connection is None:
            return None
        try:
            send(
                connection, [[b"MGET", *[self._prefix + keys[index] for index in group]] for group in groups]
            )
        except redis.RedisError as error:
            self._lose(node, connection, error)
            return None
        return connection

    def _receive(
        self,
        node: RedisNode,
        connection: Connection,
        groups: Groups,
        rows: list[bytes | None],
        deadline_s: float,
    ) -> list[int]:
        """Put a node's answers into ``rows``; give the indices of those without an answer."""
        unread: list[int] = []
        for number, group in enumerate(groups):
            left_s = max(_LATEST_S, deadline_s - time.monotonic())
            try:
                values = connection.read_response(timeout=left_s)
                for index, value in zip(group, values, strict=True):
                    rows[index] = value
            except (
                redis.ResponseError
            ):  # the node answers, but has not this slot any more, or not for this user
                unread += group
                self._connector.look(moved=True)
            except (redis.RedisError, TypeError, ValueError) as error:  # the others: no answer to an MGET
                self._lose(node, connection, error)
                return unread + list(chain.from_iterable(groups[number:]))
        node.give_back(connection)
        return unread

    def close(self) -> None:
        """Disconnect."""
        self._connector.close()

    def _grouped(self, keys: Sequence[bytes]) -> list[tuple[RedisNode | None, Groups]]:
        """Return indices of keys by slot, by node; a slot whose node is unknown is None's."""
        if not self._is_cluster:
            return [(node, [list(range(len(keys)))]) for node in self._connector.nodes.values()]
        slots = self._connector.slots
        if not slots:
            return [(None, [list(range(len(keys)))])]
        by_slot: dict[int, list[int]] = {}
        for index, key in enumerate(keys):
            by_slot.setdefault(key_slot(self._prefix + key), []).append(index)
        by_node: dict[RedisNode | None, Groups] = {}
        for slot, group in by_slot.items():
            by_node.setdefault(slots[slot], []).append(group)
        return list(by_node.items())

    def _lose(self, node: RedisNode, connection: Connection, error: Exception) -> None:
        node.drop(connection)
        node.failed(f"{type(error).__name__}: {error}")
        self._connector.look()
