"""Writes rows into Redis or Valkey. The rows are pipelined in parts, to bound the memory in client and server."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import redis

from services.errors import StoreFailed, StoreLost
from services.stores.kinds.redis import RedisConfig
from services.stores.redis.client import ERRORS, client_of
from services.stores.redis.marks import Marks

_ROWS_A_PART = 1000
_TIMEOUT_S = 10.0
_WAIT_MS = 5000
_WAITS = 12


class RedisWriter:
    """Writes rows by key to Redis."""

    def __init__(self, config: RedisConfig, home: Path) -> None:
        """Connect.

        Raises:
            ConfigError: the password or a certificate is missing.
            StoreFailed: a server cannot be reached.
        """
        self._prefix = config.prefix.encode()
        self._where = ", ".join(config.nodes)
        try:
            self._client = client_of(config, home, _TIMEOUT_S)
            self._client.ping()
        except ERRORS as error:
            raise self._failure(error) from error

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write the rows in pipelines of 1,000 rows. Return the row count.

        Raises:
            StoreFailed: a server does not accept the rows.
        """
        written = 0
        iterator = iter(rows)
        while part := list(islice(iterator, _ROWS_A_PART)):
            self._write(part, None, 0)
            written += len(part)
        return written

    def begin_load(self) -> str:
        """Write a load's first mark on each server. Return the id of the load."""
        try:
            return Marks.begin(self._client, self._prefix).load
        except ERRORS as error:
            raise self._failure(error) from error

    def write_part(self, load: str, number: int, rows: Sequence[tuple[bytes, bytes]]) -> int:
        """Write a part and its marks in one pipeline.

        Raises:
            StoreFailed: a server does not accept the rows.
            StoreLost: a server lacks an earlier part's mark.
        """
        marks = Marks(load, self._prefix)
        if not marks.hold(self._write(rows, marks, number), number):
            raise StoreLost(
                f"Redis at {self._where} lost rows during this load: a server was emptied, or restarted or "
                f"replaced without its data; run the load again, which starts over",
                field="features.store",
            )
        return len(rows)

    def holds_parts(self, load: str, count: int) -> bool:
        """Return whether every server has marks for the first ``count`` parts."""
        try:
            return Marks(load, self._prefix).are_held(self._client, count)
        except ERRORS as error:
            raise self._failure(error) from error

    def end_load(self, load: str) -> None:
        """Remove a load's marks. If a server has replicas, wait up to 60 s until one replica has all rows.

        Raises:
            StoreFailed: a server does not accept the commands, or no replica confirms the rows.
        """
        try:
            confirmed = [self._remove(key) for key in Marks(load, self._prefix).keys]
        except ERRORS as error:
            raise self._failure(error) from error
        if not all(confirmed):
            raise StoreFailed(
                f"Redis at {self._where} has the rows, but none of its replicas confirmed them within "
                f"{_WAITS * _WAIT_MS // 1000} s; repair the replication, and load again",
                field="features.store",
            )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _write(self, rows: Sequence[tuple[bytes, bytes]], marks: Marks | None, number: int) -> list[Any]:
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for key, row in rows:
                    pipeline.set(self._prefix + key, row)
                if marks is not None:
                    marks.add(pipeline, number)
                return pipeline.execute()
        except ERRORS as error:
            raise self._failure(error) from error

    def _remove(self, key: bytes) -> bool:
        """Remove a mark. Return whether a replica confirms this, or the server has no replica.

        The confirmation covers all rows that were written before.
        """
        client = self._client
        if isinstance(client, redis.RedisCluster):
            client = client.get_redis_connection(client.get_node_from_key(key))
        with client.client() as connection:  # WAIT only covers the writes of its own connection
            connection.delete(key)
            try:
                if int(connection.info("replication").get("connected_slaves", 0)) == 0:
                    return True
                return any(connection.execute_command("WAIT", 1, _WAIT_MS) for _ in range(_WAITS))
            except redis.ResponseError:  # this user may not send WAIT, or the server does not know it
                return True

    def _failure(self, error: Exception) -> StoreFailed:
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            remedy = "raise its maxmemory, or remove other data from it, and load again"
        elif isinstance(error, redis.exceptions.NoPermissionError):
            remedy = "allow this user SET, SETBIT, BITPOS and DEL"
        elif isinstance(error, redis.AuthenticationError):
            remedy = "set the password with features.store.password_env or password_file"
        elif not isinstance(error, redis.ResponseError):
            remedy = "start it, or correct features.store.nodes"
        else:
            remedy = "see the server's log"
        return StoreFailed(f"Redis at {self._where}: {error}; {remedy}", field="features.store")
