"""Rows that are written to Redis in bulk."""

from pathlib import Path

from benchmarks.growth.redis_rows import commands, insert
from benchmarks.growth.users import key_of
from benchmarks.harness.redis_server import redis_server
from services.stores import open_store
from services.stores.kinds.redis import RedisConfig


def test_commands_name_each_user_once() -> None:
    made = commands(b"p:", b"row", 98, 101)
    assert [line.tobytes().split(b"\r\n")[4] for line in made] == [b"p:" + key_of(n) for n in (98, 99, 100)]


def test_store_reads_the_rows_that_were_inserted(tmp_path: Path) -> None:
    row = bytes(range(256))  # has line ends and zeros
    with redis_server(tmp_path) as server:
        config = RedisConfig(kind="redis", nodes=(f"127.0.0.1:{server.port}",), timeout_ms=2000)
        insert(server.port, config.prefix.encode(), row, 0, 120)
        insert(server.port, config.prefix.encode(), row, 120, 60_000)
        store = open_store(config, tmp_path)
        reading = store.read_many([key_of(0), key_of(59_999), key_of(60_000)])
        store.close()
    assert list(reading.rows) == [row, row, None]
