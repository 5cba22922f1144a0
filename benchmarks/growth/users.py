"""Time per read against the number of users in the store: LMDB in memory, LMDB from disk, and Redis.

A row has 64 float32 features. Every read is of random users, all equally likely, which is the worst case for caches.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import lmdb
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.growth.chart import Chart, Panel, Points
from benchmarks.growth.redis_rows import RESERVED_BYTES, bytes_needed, insert
from benchmarks.harness.redis_server import RedisServer, redis_server
from models.features.definition import Feature, FeatureSet
from models.features.rows import UserRowCodec, row_key
from services.stores import open_store
from services.stores.base import FeatureStore
from services.stores.kinds.redis import RedisConfig
from services.stores.lmdb import LmdbStore

_XS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_FEATURES, _BATCH, _COLD_READS = 64, 16, 300
_AT_ONCE, _MOST_KEYS = 100_000, 2_000_000
LMDB, LMDB_BATCH, COLD = "LMDB, one user", "LMDB, each of 16 users", "LMDB, one user from disk"
REDIS, REDIS_BATCH = "Redis, one user", "Redis, each of 16 users"


def measure(xs: Sequence[int], settings: Mapping[str, Any]) -> Points:
    """Fill both stores up to each number of users, and read from them."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="rankway-growth-", dir=_on_disk()))
        )
        server = stack.enter_context(redis_server(folder))
        config = RedisConfig(kind="redis", nodes=(f"127.0.0.1:{server.port}",), timeout_ms=1000)
        redis_store = open_store(config, folder)
        stack.callback(redis_store.close)
        row, path, written, in_redis = _row(), folder / "users", 0, 0
        for users in xs:
            append_to_lmdb(path, row, written, users)
            written = users
            values = _from_disk(path, users)
            store = LmdbStore(path)
            values |= _times(store, users, settings["seconds"], (LMDB, LMDB_BATCH))
            store.close()
            values["LMDB MiB"] = (path / "data.mdb").stat().st_blocks * 512 / 2**20
            if psutil.virtual_memory().available > RESERVED_BYTES + bytes_needed(users - in_redis, row):
                insert(server.port, config.prefix.encode(), row, in_redis, users)
                in_redis = users
                values |= _times(redis_store, users, settings["seconds"], (REDIS, REDIS_BATCH))
                values["Redis MiB"] = _redis_mib(server)
            yield users, values


def _on_disk() -> str:
    """Return a folder on a disk. /tmp may be in memory, from which nothing can be dropped."""
    return "/var/tmp"


def _row() -> bytes:
    features = tuple(Feature(name=f"f{number}", group="user") for number in range(_FEATURES))
    codec = UserRowCodec(FeatureSet(features=features))
    values = np.random.default_rng(0).random(_FEATURES, dtype=np.float32)
    return codec.encode({f"f{number}": values[number] for number in range(_FEATURES)})


def key_of(user: int) -> bytes:
    """Return a user's key. All keys have the same length, so their order is that of the numbers."""
    return row_key("user", b"u-%08d" % user)


def append_to_lmdb(path: Path, row: bytes, first: int, last: int) -> None:
    """Write the rows of the users [first, last) in key order, which LMDB appends without a search."""
    path.mkdir(exist_ok=True)
    with lmdb.open(str(path), map_size=1 << 40, sync=False) as environment:
        for start in range(first, last, _AT_ONCE):
            with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
                rows = [(key_of(user), row) for user in range(start, min(last, start + _AT_ONCE))]
                cursor.putmulti(rows, append=True)
        environment.sync(True)


def _keys(users: int, count: int) -> list[bytes]:
    drawn: NDArray[np.int64] = np.random.default_rng(users).integers(0, users, count)
    return [key_of(user) for user in drawn.tolist()]


def _times(store: FeatureStore, users: int, seconds: float, names: tuple[str, str]) -> dict[str, float]:
    """Return the median µs per user, for reads of one user and of a batch."""
    results = {}
    keys = _keys(users, min(_MOST_KEYS, 2 * users))
    if not store.waits:  # a store in the process has all pages mapped after a while
        for start in range(0, len(keys), _BATCH):
            store.read_many(keys[start : start + _BATCH])
    for name, batch in zip(names, (1, _BATCH), strict=True):
        times_s: list[float] = []
        ends_s, start = time.perf_counter() + seconds, 0
        while time.perf_counter() < ends_s:
            some = keys[start : start + batch]
            started_s = time.perf_counter()
            reading = store.read_many(some)
            times_s.append(time.perf_counter() - started_s)
            assert None not in reading.rows, "a user is missing"
            start = start + batch if start + 2 * batch < len(keys) else 0
        results[name] = median(times_s) / batch * 1e6
    return results


def _from_disk(path: Path, users: int) -> dict[str, float]:
    """Return the median µs of a read whose page is not in memory."""
    with (path / "data.mdb").open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    store = LmdbStore(path)
    times_s = []
    for key in _keys(users, _COLD_READS):
        started_s = time.perf_counter()
        store.read_many([key])
        times_s.append(time.perf_counter() - started_s)
    store.close()
    for block in _blocks(path / "data.mdb"):  # into memory again
        del block
    return {COLD: float(np.mean(times_s)) * 1e6}


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            yield block


def _redis_mib(server: RedisServer) -> float:
    with server.client() as client:
        return float(client.info("memory")["used_memory_rss"]) / 2**20


CHART = Chart(
    name="users",
    title="Time to read random users' rows of 64 features: LMDB in the process, Redis over loopback",
    x_label="users in the store",
    xs=_XS,
    panels=(
        Panel("us per user", (LMDB, LMDB_BATCH, COLD, REDIS, REDIS_BATCH), rise_of=LMDB_BATCH),
        Panel("MiB", ("LMDB MiB", "Redis MiB")),
    ),
    measure=measure,
    settings={"seconds": 1.0},
)
