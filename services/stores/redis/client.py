"""Connections to Redis or Valkey with the addresses, password and TLS that a pipeline configures."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.retry import Retry

from services.errors import ConfigError
from services.stores.kinds.redis import RedisConfig

Address = tuple[str, int]
_RANDOM_KEYS = 20
ERRORS = (redis.RedisError, redis.exceptions.RedisClusterException)
"""The errors that redis-py raises. Its cluster client's errors have a separate base class."""


def addresses_of(config: RedisConfig) -> list[Address]:
    """Return the configured nodes' hosts and ports."""
    split = [node.rpartition(":") for node in config.nodes]
    return [(host.strip("[]"), int(port)) for host, _, port in split]


def connection_options(config: RedisConfig, home: Path) -> dict[str, Any]:
    """Return redis-py's options for user, password and TLS.

    Raises:
        ConfigError: the password or a certificate is missing.
    """
    options: dict[str, Any] = {"username": config.username, "password": _password(config, home)}
    if config.tls is not None:
        options_by_field = {"ca_file": "ca_certs", "cert_file": "certfile", "key_file": "keyfile"}
        for field, option in options_by_field.items():
            value = getattr(config.tls, field)
            if value is None:
                continue
            if not (home / value).is_file():
                raise ConfigError(
                    f"no file at {home / value}; put the file there, or correct the path",
                    field=f"features.store.tls.{field}",
                )
            options[f"ssl_{option}"] = str(home / value)
        options["ssl_check_hostname"] = config.tls.check_hostname
    return options


def _password(config: RedisConfig, home: Path) -> str | None:
    if config.password_env is not None:
        if config.password_env not in os.environ:
            raise ConfigError(
                f"the environment variable {config.password_env} is not set; set it to the store's password",
                field="features.store.password_env",
            )
        return os.environ[config.password_env]
    if config.password_file is not None:
        try:
            return (home / config.password_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the password cannot be read from {home / config.password_file} ({type(error).__name__}); "
                f"put the file there, readable for the user that runs rankway",
                field="features.store.password_file",
            ) from error
    return None


def connector(config: RedisConfig, home: Path) -> Callable[[Address], Connection]:
    """Return a function that opens a connection and makes it ready for batches.

    Raises:
        ConfigError: the password or a certificate is missing.
    """
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
        connection.send_command("PING", check_health=False)  # fails here if a password is missing
        connection.read_response()
        # From here on batches wait for answers on this connection.
        connection.update_current_socket_timeout(config.timeout_ms / 1e3)
        return connection

    return connect


def client_of(config: RedisConfig, home: Path, timeout_s: float) -> "redis.Redis | redis.RedisCluster":
    """Return a redis-py client, for work outside the request path.

    Raises:
        ConfigError: the password or a certificate is missing.
        RedisClusterException: the servers are not a cluster, or cannot be reached.
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
    """Return a text about why the server cannot return rows, with a remedy. None if it can."""
    nodes = ", ".join(config.nodes)
    try:
        client = client_of(config, home, config.connect_timeout_ms / 1e3)
        try:
            keys = int(client.dbsize())
        finally:
            client.close()
    except (*ERRORS, OSError) as error:
        return f"Redis at {nodes} does not answer ({error}); start it, or correct features.store"
    if keys == 0:
        return f"Redis at {nodes} is empty; load it with `rankway features load CONFIG FILE...`"
    return None


def any_row_key(config: RedisConfig, home: Path) -> bytes | None:
    """Return the key of a random row, without the prefix. None if a few random keys of the server are no rows."""
    start = f"{config.prefix}{{".encode()
    try:
        client = client_of(config, home, config.connect_timeout_ms / 1e3)
        try:
            keys = (client.randomkey() for _ in range(_RANDOM_KEYS))
            found = next((key for key in keys if isinstance(key, bytes) and key.startswith(start)), None)
        finally:
            client.close()
    except (*ERRORS, OSError):
        return None
    return None if found is None else found[len(start) - 1 :]
