"""Faults in the feature store: a Redis that is killed, frozen or full, or that contains garbage."""

import itertools
import os
import threading
from collections.abc import Sequence
from typing import Any

import redis

from benchmarks.harness.redis_server import RedisServer
from benchmarks.outages.fault import Fault

_ROW_BYTES = 96
_FULL_BYTES = 1_000_000
_WRITE_PERIOD_S = 0.005


class _Writer:
    """Another client, which continues to write to the full server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.refused = 0

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with self._server.client() as client:
            for number in itertools.count():
                if self._stop.wait(_WRITE_PERIOD_S):
                    return
                try:
                    client.set(f"filler:{number}", b"x" * _ROW_BYTES)
                except redis.ResponseError:
                    self.refused += 1


class _Full:
    """A fault: the server reaches its memory limit. It keeps its rows, but refuses writes."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._writer: _Writer | None = None

    def fill(self) -> None:
        with self._server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", _FULL_BYTES)
        self._writer = _Writer(self._server)

    def empty(self) -> None:
        assert self._writer is not None
        self._writer.stop()
        with self._server.client() as client:
            client.config_set("maxmemory", 0)

    def notes(self) -> dict[str, float]:
        assert self._writer is not None
        return {"writes_refused": float(self._writer.refused)}


class _Garbage:
    """A fault: every row that requests read is replaced by random bytes."""

    def __init__(self, server: RedisServer, keys: Sequence[bytes]) -> None:
        self._server = server
        self._keys: list[Any] = list(keys)
        self._rows: dict[Any, bytes] = {}

    def spoil(self) -> None:
        with self._server.client() as client:
            rows: list[Any] = client.mget(self._keys)
            self._rows = {key: row for key, row in zip(self._keys, rows, strict=True) if row is not None}
            if not self._rows:
                raise RuntimeError(
                    f"the store has none of {len(self._keys)} rows; they were never loaded, or were lost"
                )
            client.mset({key: os.urandom(_ROW_BYTES) for key in self._rows})

    def restore(self) -> None:
        with self._server.client() as client:
            client.mset(self._rows)


def store_faults(server: RedisServer, keys: Sequence[bytes]) -> list[Fault]:
    """Return a store's faults. ``keys`` are the keys that requests read."""
    full, garbage = _Full(server), _Garbage(server, keys)
    return [
        Fault(
            "redis-kill", "kill -9 of the store, then a restart with its rows", server.kill, server.restart
        ),
        Fault("redis-freeze", "SIGSTOP of the store, then SIGCONT", server.freeze, server.thaw),
        Fault(
            "redis-full",
            "the store is at its memory limit and refuses writes of other clients",
            full.fill,
            full.empty,
            notes=full.notes,
        ),
        Fault(
            "redis-garbage",
            "every requested row is random bytes, then restored",
            garbage.spoil,
            garbage.restore,
        ),
    ]
