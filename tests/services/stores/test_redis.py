"""The Redis store with real servers: it reads rows, and survives server failures."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.breaker import State
from services.errors import ConfigError, StoreFailed
from services.stores import any_user, open_store, open_writer
from services.stores.kinds.redis import RedisConfig
from services.stores.redis.client import server_fault
from services.stores.redis.store import RedisStore
from tests.services.stores.certificates import write_certificates
from tests.services.stores.servers import (
    PATIENT,
    RedisServer,
    needs_redis,
    reading,
    redis_cluster,
    redis_server,
    until,
    until_read,
)

pytestmark = needs_redis
ROWS = {b"{u%d}/user" % i: b"row %d" % i for i in range(50)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        load(running, tmp_path)
        yield running


def load(server: RedisServer, home: Path, **changes: object) -> None:
    config = RedisConfig.model_validate({"kind": "redis", "nodes": [server.node], **changes})
    writer = open_writer(config, home)
    assert writer.write_many(ROWS.items()) == len(ROWS)
    writer.close()


def commands_of(server: RedisServer) -> dict[str, int]:
    with server.client() as client:
        stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}


def test_returns_rows_in_key_order_and_none_for_a_missing_key(server: RedisServer, tmp_path: Path) -> None:
    with reading(tmp_path, server) as store:
        result = store.read_many([b"{u7}/user", b"{nobody}/user", b"{u0}/user", b"{u7}/user"])
        assert result.rows == [b"row 7", None, b"row 0", b"row 7"]
        assert result.unread == []
        assert store.read_many([]).rows == []


def test_reads_a_batch_with_one_command(server: RedisServer, tmp_path: Path) -> None:
    with reading(tmp_path, server) as store:
        before = commands_of(server).get("mget", 0)
        assert store.read_many(list(ROWS)).rows == list(ROWS.values())
        after = commands_of(server)
        assert after["mget"] - before == 1
        assert "get" not in after


def test_shows_any_user_with_a_row_under_the_prefix(server: RedisServer, tmp_path: Path) -> None:
    config = RedisConfig(kind="redis", nodes=(server.node,))
    user = any_user(config, tmp_path)
    assert user is not None
    assert f"{{{user}}}/user".encode() in ROWS
    assert any_user(config.model_copy(update={"prefix": "another:"}), tmp_path) is None
    server.stop()
    assert any_user(config, tmp_path) is None


def test_a_prefix_separates_pipelines(server: RedisServer, tmp_path: Path) -> None:
    with reading(tmp_path, server, prefix="another:") as store:
        assert store.read_many([b"{u1}/user"]).rows == [None]


def test_reads_nothing_from_a_dead_server_and_reconnects_after_its_restart(
    server: RedisServer, tmp_path: Path
) -> None:
    keys = list(ROWS)
    with reading(tmp_path, server) as store:
        assert store.read_many(keys).unread == []
        server.kill()
        for _ in range(20):
            result = store.read_many(keys)
            assert result.rows == [None] * len(keys)
            assert list(result.unread) == list(range(len(keys)))
        server.restart()
        load(server, tmp_path)
        assert until_read(store, keys).rows == list(ROWS.values())


def test_reads_wait_for_a_suspended_server_until_its_breaker_opens(
    server: RedisServer, tmp_path: Path
) -> None:
    keys = list(ROWS)
    quick = {
        "timeout_ms": 100,
        "connect_timeout_ms": 200,
        "breaker": {"failures": 2, "retry_after_ms": 10_000},
    }
    with reading(tmp_path, server, **quick) as store:
        assert store.read_many(keys).unread == []
        assert store.left_alone == 0
        server.freeze()
        assert len(store.read_many(keys).unread) == len(keys)
        assert len(store.read_many(keys).unread) == len(keys)
        (node,) = store._connector.nodes.values()
        assert node.state is State.OPEN
        assert store.left_alone == 1
        began_s = time.thread_time()
        for _ in range(100):
            assert len(store.read_many(keys).unread) == len(keys)
        assert time.thread_time() - began_s < 1
        server.thaw()


def test_reads_a_resumed_server_again_and_drops_its_late_answers(server: RedisServer, tmp_path: Path) -> None:
    with reading(tmp_path, server, timeout_ms=50, connect_timeout_ms=200) as store:
        until_read(store, [b"{u1}/user"])
        server.freeze()
        for user in range(8):
            assert store.read_many([b"{u%d}/user" % user]).unread == [0]
        server.thaw()
        for user in range(8):
            assert until_read(store, [b"{u%d}/user" % user]).rows == [b"row %d" % user]


def test_a_restart_between_two_reads_fails_neither(server: RedisServer, tmp_path: Path) -> None:
    with reading(tmp_path, server) as store:
        (node,) = store._connector.nodes.values()
        (first,) = node._idle
        server.kill()
        server.restart()
        until(lambda: len(node._idle) == 1 and first not in node._idle)
        assert store.read_many([b"{u1}/user"]).unread == []


def test_threads_that_read_at_the_same_time_get_their_own_rows(server: RedisServer, tmp_path: Path) -> None:
    config = RedisConfig.model_validate({"kind": "redis", "nodes": [server.node], **PATIENT})
    store = RedisStore(config, tmp_path, readers=4)

    def read(thread: int) -> bool:
        users = [(thread * 7 + turn) % len(ROWS) for turn in range(200)]
        result = [store.read_many([b"{u%d}/user" % user]) for user in users]
        return [reading.rows for reading in result] == [[b"row %d" % user] for user in users]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))
    store.close()


@pytest.mark.parametrize("cluster", [False, True])
def test_opens_a_store_without_its_server_and_reads_nothing(tmp_path: Path, cluster: bool) -> None:
    config = RedisConfig(kind="redis", nodes=("127.0.0.1:1",), cluster=cluster)
    store = open_store(config, tmp_path)
    assert store.read_many([b"{u1}/user"]).unread == [0]
    store.close()
    with pytest.raises(StoreFailed, match=r"start it, or correct features\.store\.nodes"):
        open_writer(config, tmp_path)
    assert "start it, or correct features.store" in (server_fault(config, tmp_path) or "")


def test_a_full_server_still_answers_reads_and_a_load_reports_the_remedy(
    server: RedisServer, tmp_path: Path
) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
    with pytest.raises(StoreFailed, match="raise its maxmemory"):
        load(server, tmp_path)
    with reading(tmp_path, server) as store:
        assert store.read_many(list(ROWS)).rows == list(ROWS.values())


def test_values_of_another_type_do_not_count_as_rows(server: RedisServer, tmp_path: Path) -> None:
    with server.client() as client:
        client.rpush("rankway:{list}/user", "1")
    with reading(tmp_path, server) as store:
        assert store.read_many([b"{list}/user", b"{u1}/user"]).rows == [None, b"row 1"]


def test_reads_the_password_from_its_source_and_never_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    monkeypatch.setenv("STORE_PASSWORD", "wr0ng")
    with redis_server(tmp_path, "--requirepass", "s3cret", password="s3cret") as server:
        load(server, tmp_path, password_file="password")
        with reading(tmp_path, server, password_file="password") as store:
            assert store.read_many([b"{u1}/user"]).rows == [b"row 1"]
        with (
            caplog.at_level(logging.DEBUG),
            reading(tmp_path, server, password_env="STORE_PASSWORD") as store,
        ):
            assert store.read_many([b"{u1}/user"]).unread == [0]
        assert "cannot be reached" in caplog.text
        with pytest.raises(StoreFailed, match="password") as refused:
            load(server, tmp_path, password_env="STORE_PASSWORD")
        with reading(tmp_path, server) as store:
            assert store.read_many([b"{u1}/user"]).unread == [0]
        assert "wr0ng" not in caplog.text + str(refused.value)


def test_a_missing_secret_is_a_config_error(tmp_path: Path) -> None:
    for field in (
        {"password_env": "NO_SUCH_VARIABLE"},
        {"password_file": "none"},
        {"tls": {"ca_file": "none"}},
    ):
        with pytest.raises(ConfigError) as refused:
            RedisStore(RedisConfig.model_validate({"kind": "redis", **field}), tmp_path)
        assert str(refused.value.field).startswith("features.store.")


def test_tls_reads_only_from_trusted_servers(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    arguments = [
        "--tls-cert-file",
        str(tmp_path / "server.pem"),
        "--tls-key-file",
        str(tmp_path / "server.key"),
    ]
    arguments += ["--tls-ca-cert-file", str(tmp_path / "ca.pem"), "--tls-auth-clients", "no"]
    server = RedisServer(tmp_path, *arguments, tls=True)
    try:
        server.wait(ssl=True, ssl_ca_certs=str(tmp_path / "ca.pem"))
        load(server, tmp_path, tls={"ca_file": "ca.pem"})
        with reading(tmp_path, server, tls={"ca_file": "ca.pem"}) as store:
            assert store.read_many(list(ROWS)).rows == list(ROWS.values())
        with reading(
            tmp_path, server, tls={}
        ) as store:  # this machine's authorities did not sign the certificate
            assert store.read_many([b"{u1}/user"]).unread == [0]
        with reading(tmp_path, server, connect_timeout_ms=200) as store:
            assert store.read_many([b"{u1}/user"]).unread == [0]
    finally:
        server.stop()


def test_a_dead_node_of_a_cluster_makes_only_its_own_users_unread(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as servers:
        load(servers[0], tmp_path, cluster=True)
        with reading(tmp_path, servers[1], cluster=True) as store:
            result = until_read(store, [*ROWS, b"{nobody}/user"])
            assert result.rows == [*ROWS.values(), None]
            counts = [server.ask("DBSIZE") for server in servers]
            assert min(counts) > 0
            servers[2].kill()
            until(lambda: len(store.read_many(list(ROWS)).unread) == counts[2])
            result = store.read_many(list(ROWS))
            lost = set(result.unread)
            assert [row for i, row in enumerate(result.rows) if i not in lost] == [
                row for i, row in enumerate(ROWS.values()) if i not in lost
            ]


def test_finds_a_slot_that_has_moved(tmp_path: Path) -> None:
    key = "rankway:{u1}/user"
    with redis_cluster(tmp_path) as servers:
        load(servers[0], tmp_path, cluster=True)
        with reading(tmp_path, servers[0], cluster=True) as store:
            assert until_read(store, [b"{u1}/user"]).rows == [b"row 1"]
            slot = servers[0].ask("CLUSTER", "KEYSLOT", key)
            (old,) = [s for s in servers if s.ask("CLUSTER", "COUNTKEYSINSLOT", slot)]
            new = next(server for server in servers if server is not old)
            old.ask("DEL", key)  # as a migration does after it has copied the row
            for server in (new, old):
                server.ask("CLUSTER", "SETSLOT", slot, "NODE", new.ask("CLUSTER", "MYID"))
            new.ask("SET", key, "moved")
            assert store.read_many([b"{u1}/user"]).unread == [0]
            assert until_read(store, [b"{u1}/user"]).rows == [b"moved"]
