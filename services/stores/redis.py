"""Redis or Valkey, one server or a cluster: a batch's rows in one pipelined round trip to each node.

A single server gets one MGET. In a cluster a user's keys share a slot (their hash tag is the user id), every
slot gets an MGET, and all nodes are written to before any is read from. A node that is slow, dead or refuses
costs at most the time-out, and its users' rows count as unread; the others have theirs.

Reads block, and run on the runner's I/O threads (``services.stages.WaitingStage``), so that the model thread scores
another batch meanwhile, however slow the store. For 16 users on loopback that takes 0.12 ms there and back; the
model thread itself would have them in 0.07, and redis-py's asyncio client on the event loop in 0.20. An event loop
that is late itself would also see an answer late and call it missing; the kernel's time-out on a socket does not.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.retry import Retry

from services.errors import ConfigError
from services.stores.base import Reading, RedisConfig
from services.stores.keeper import Address, Keeper
from services.stores.node import Node, send

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
        self._keeper = Keeper(
            seeds=addresses_of(config),
            is_cluster=config.cluster,
            connect=_connector(config, home),
            connections=readers,
            breaker=config.breaker,
        )
        self._keeper.settled(2 * config.connect_timeout_ms / 1e3)

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys; those of a node that does not answer in time are unread."""
        if not keys:
            return Reading([])
        rows: list[bytes | None] = [None] * len(keys)
        unread: list[int] = []
        asked: list[tuple[Node, Connection, list[list[int]]]] = []
        deadline_s = time.monotonic() + self._timeout_s
        lost = moved = False
        for node, groups in self._grouped(keys):
            connection = None if node is None else node.take()
            if node is None or connection is None:
                unread += [place for group in groups for place in group]
                lost = True
                continue
            try:
                send(connection, [[b"MGET", *[self._prefix + keys[i] for i in group]] for group in groups])
            except redis.RedisError as error:
                self._lose(node, connection, error)
                unread += [place for group in groups for place in group]
                lost = True
                continue
            asked.append((node, connection, groups))
        for node, connection, groups in asked:
            try:
                for group in groups:
                    left_s = max(_LATEST_S, deadline_s - time.monotonic())
                    try:
                        values = connection.read_response(timeout=left_s)
                    except redis.ResponseError:
                        # The node answers, but has not this slot, or does not allow it.
                        unread += group
                        moved = True
                        continue
                    for place, value in zip(group, values, strict=True):
                        rows[place] = value
            except (redis.RedisError, TypeError, ValueError) as error:  # the others: no answer to an MGET
                self._lose(node, connection, error)
                unread += [place for group in groups for place in group]
                lost = True
                continue
            node.give_back(connection)
        if lost or moved:
            self._keeper.look(moved=moved)
        for place in unread:
            rows[place] = None
        return Reading(rows, sorted(set(unread)))

    def close(self) -> None:
        """Disconnect."""
        self._keeper.close()

    def _grouped(self, keys: Sequence[bytes]) -> list[tuple[Node | None, list[list[int]]]]:
        """Give places of keys by slot, by node; a slot whose node is unknown is None's."""
        if not self._is_cluster:
            return [(node, [list(range(len(keys)))]) for node in self._keeper.nodes.values()]
        slots = self._keeper.slots
        if not slots:
            return [(None, [list(range(len(keys)))])]
        by_slot: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            by_slot.setdefault(key_slot(self._prefix + key), []).append(place)
        by_node: dict[Node | None, list[list[int]]] = {}
        for slot, group in by_slot.items():
            by_node.setdefault(slots[slot], []).append(group)
        return list(by_node.items())

    def _lose(self, node: Node, connection: Connection, error: Exception) -> None:
        node.drop(connection)
        node.failed(f"{type(error).__name__}: {error}")


def addresses_of(config: RedisConfig) -> list[Address]:
    """Give hosts and ports of the named nodes."""
    split = [node.rpartition(":") for node in config.nodes]
    return [(host.strip("[]"), int(port)) for host, _, port in split]


def connection_options(config: RedisConfig, home: Path) -> dict[str, Any]:
    """Give redis-py's options for user, password and TLS.

    Raises:
        ConfigError: the password or a certificate is not where the config says.
    """
    options: dict[str, Any] = {"username": config.username, "password": _password(config, home)}
    if config.tls is not None:
        named = {"ca_file": "ca_certs", "cert_file": "certfile", "key_file": "keyfile"}
        for field, option in named.items():
            given = getattr(config.tls, field)
            if given is None:
                continue
            if not (home / given).is_file():
                raise ConfigError(
                    f"no file at {home / given}: put it there, or mend the path",
                    field=f"features.store.tls.{field}",
                )
            options[f"ssl_{option}"] = str(home / given)
        options["ssl_check_hostname"] = config.tls.check_hostname
    return options


def _password(config: RedisConfig, home: Path) -> str | None:
    if config.password_env is not None:
        if config.password_env not in os.environ:
            raise ConfigError(
                f"the environment has no {config.password_env}: set it to the store's password",
                field="features.store.password_env",
            )
        return os.environ[config.password_env]
    if config.password_file is not None:
        try:
            return (home / config.password_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the password cannot be read from {home / config.password_file} ({type(error).__name__}): "
                f"put it there, readable for this user",
                field="features.store.password_file",
            ) from error
    return None


def _connector(config: RedisConfig, home: Path) -> Callable[[Address], Connection]:
    options = connection_options(config, home)
    kind = Connection if config.tls is None else SSLConnection
    limit_s = config.connect_timeout_ms / 1e3

    def connect(address: Address) -> Connection:
        connection = kind(
            host=address[0],
            port=address[1],
            socket_timeout=limit_s,
            socket_connect_timeout=limit_s,
            driver_info=None,
            protocol=2,
            **options,
        )
        connection.connect()
        connection.send_command("PING", check_health=False)  # a password that is lacking shows here
        connection.read_response()
        # From here on it is a batch that waits.
        connection.update_current_socket_timeout(config.timeout_ms / 1e3)
        return connection

    return connect


def client_of(config: RedisConfig, home: Path, timeout_s: float) -> "redis.Redis | redis.RedisCluster":
    """Give redis-py's own client, for what is not in a request's way.

    Raises:
        ConfigError: the password or a certificate is not where the config says. redis.RedisError: no cluster.
    """
    options = connection_options(config, home)
    options |= {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    options |= {"ssl": config.tls is not None, "retry": Retry(NoBackoff(), 0)}
    nodes = addresses_of(config)
    if config.cluster:
        from redis.cluster import ClusterNode

        return redis.RedisCluster(startup_nodes=[ClusterNode(*node) for node in nodes], **options)
    return redis.Redis(host=nodes[0][0], port=nodes[0][1], **options)


def server_fault(config: RedisConfig, home: Path) -> str | None:
    """Say what keeps the server from giving rows, and the remedy; None where nothing does."""
    where = ", ".join(config.nodes)
    try:
        client = client_of(config, home, config.connect_timeout_ms / 1e3)
        try:
            keys = int(client.dbsize())
        finally:
            client.close()
    except (redis.RedisError, OSError) as error:
        return f"Redis at {where} does not answer ({error}): start it, or mend features.store"
    if keys == 0:
        return f"Redis at {where} is empty: load it with `rankway features load CONFIG FILE...`"
    return None
