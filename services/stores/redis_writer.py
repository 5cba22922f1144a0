"""Rows into Redis or Valkey: pipelined, in parts that bound memory on both sides."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import redis

from services.errors import StoreFailed
from services.stores.base import RedisConfig
from services.stores.redis_client import client_of

_ROWS_A_PART = 1000
_TIMEOUT_S = 10.0


class RedisWriter:
    """Rows by key, written to Redis."""

    def __init__(self, config: RedisConfig, home: Path) -> None:
        """Connect.

        Raises:
            ConfigError: the password or a certificate is not where the config says. StoreFailed: no server.
        """
        self._prefix = config.prefix.encode()
        self._where = ", ".join(config.nodes)
        try:
            self._client = client_of(config, home, _TIMEOUT_S)
            self._client.ping()
        except redis.RedisError as error:
            raise self._failure(error) from error

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write in pipelines of a thousand rows."""
        written = 0
        iterator = iter(rows)
        while part := list(islice(iterator, _ROWS_A_PART)):
            try:
                with self._client.pipeline(transaction=False) as pipeline:
                    for key, row in part:
                        pipeline.set(self._prefix + key, row)
                    pipeline.execute()
            except redis.RedisError as error:
                raise self._failure(error) from error
            written += len(part)
        return written

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _failure(self, error: redis.RedisError) -> StoreFailed:
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            remedy = "raise its maxmemory, or remove what else it holds, and load again"
        elif isinstance(error, redis.AuthenticationError):
            remedy = "give the password with features.store.password_env or password_file"
        elif isinstance(error, redis.ConnectionError | redis.TimeoutError):
            remedy = "start it, or mend features.store.nodes"
        else:
            remedy = "see its log"
        return StoreFailed(f"Redis at {self._where}: {error}; {remedy}", field="features.store")
