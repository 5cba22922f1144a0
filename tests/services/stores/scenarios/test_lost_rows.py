"""Loads into stores that lose rows: at the end the store has every row, or the command reports a failure."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.features.definition import Feature, FeatureSet
from models.features.rows import row_key
from services.errors import StoreFailed, StoreLost
from services.stores import open_writer, sources
from services.stores.kinds.lmdb import LmdbConfig
from services.stores.kinds.redis import RedisConfig
from services.stores.kinds.registry import StoreConfig
from services.stores.lmdb import LmdbStore
from services.stores.loading import LoadCheckpoint, LoadProgress, LoadReport, Progress, load, load_all
from services.stores.redis import writer as redis_writer
from services.stores.redis.marks import Marks
from services.stores.sources import open_source
from tests.services.stores.servers import RedisServer, needs_redis, redis_cluster, redis_server, until

FEATURES = FeatureSet(features=(Feature(name="bias", group="user"),))
PARTS, ROWS_A_PART = 10, 20
USERS = PARTS * ROWS_A_PART


class Cut(Exception):
    """Raised to interrupt the loading process."""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_ROWS_A_PART", ROWS_A_PART)


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def write_users(path: Path, first: int = 0) -> Path:
    ids = [f"u{user}" for user in range(first, first + USERS)]
    pq.write_table(pa.table({"user_id": ids, "bias": [1.0] * USERS}), path)
    return path


def redis_config(*servers: RedisServer, cluster: bool = False) -> RedisConfig:
    return RedisConfig(kind="redis", nodes=tuple(server.node for server in servers), cluster=cluster)


def keys_of(first: int = 0) -> set[bytes]:
    return {b"rankway:" + row_key("user", b"u%d" % user) for user in range(first, first + USERS)}


def stored_keys(*servers: RedisServer) -> set[bytes]:
    keys: set[bytes] = set()
    for server in servers:
        keys |= set(server.ask("KEYS", "*"))
    return keys


@dataclass
class Loader:
    """Calls of the load command on one source.

    Attributes:
        config: the store.
        source: the file or folder to load.
        home: the folder that relative paths start from.
        at: functions to call after a number of parts. Each is called only once.
        checkpoint: the checkpoint's class.
    """

    config: StoreConfig
    source: Path
    home: Path = Path()
    at: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    checkpoint: type[LoadCheckpoint] = LoadCheckpoint

    def call(self) -> LoadReport:
        source = open_source(self.source, FEATURES)
        writer = open_writer(self.config, self.home)
        try:
            return load(source, writer, self.checkpoint(self.source, source.stamp()), self.progress)
        finally:
            writer.close()

    def progress(self, done: int, total: int) -> None:
        for event in self.at.pop(done // ROWS_A_PART, []):
            event()

    def call_until_success(self, most: int) -> tuple[LoadReport, list[Exception]]:
        """Call again after each failure, as an operator would."""
        failures: list[Exception] = []
        for _ in range(most):
            try:
                return self.call(), failures
            except (StoreFailed, Cut) as error:
                failures.append(error)
        raise AssertionError(f"the load never ended: {failures}")


def cut() -> None:
    raise Cut


@needs_redis
def test_an_interrupted_load_continues_if_the_server_has_its_rows(
    tmp_path: Path, server: RedisServer
) -> None:
    loader = Loader(redis_config(server), write_users(tmp_path / "users.parquet"), at={4: [cut]})
    loaded, _ = loader.call_until_success(2)
    assert (loaded.resumed, loaded.lost, loaded.written) == (4 * ROWS_A_PART, 0, 6 * ROWS_A_PART)
    assert stored_keys(server) == keys_of()  # and the server has no marks


@needs_redis
@pytest.mark.parametrize("how", ["flushed", "restarted empty"])
def test_starts_over_if_the_server_was_emptied_between_two_calls(
    tmp_path: Path, server: RedisServer, how: str
) -> None:
    loader = Loader(redis_config(server), write_users(tmp_path / "users.parquet"), at={5: [cut]})
    with pytest.raises(Cut):
        loader.call()
    if how == "flushed":
        server.ask("FLUSHALL")
    else:
        server.kill()
        server.restart()
    loaded = loader.call()
    assert (loaded.resumed, loaded.lost, loaded.written) == (0, 5 * ROWS_A_PART, USERS)
    assert stored_keys(server) == keys_of()


@needs_redis
@pytest.mark.parametrize("how", ["flushed", "restarted empty"])
@pytest.mark.parametrize("part", [0, 1, 5, 9, 10])
def test_a_call_fails_if_the_server_is_emptied_during_it(
    tmp_path: Path, server: RedisServer, how: str, part: int
) -> None:
    def empty() -> None:
        if how == "flushed":
            server.ask("FLUSHALL")
            return
        server.kill()
        server.restart()

    loader = Loader(redis_config(server), write_users(tmp_path / "users.parquet"), at={part: [empty]})
    with pytest.raises(StoreFailed) as failure:
        loader.call()
    if isinstance(failure.value, StoreLost):
        assert "which starts over" in failure.value.detail
    loader.call()
    assert stored_keys(server) == keys_of()


@needs_redis
def test_notices_that_rows_of_the_first_file_are_lost_before_the_second(
    tmp_path: Path, server: RedisServer
) -> None:
    paths = [write_users(tmp_path / "a.parquet"), write_users(tmp_path / "b.parquet", USERS)]
    flushed: list[bool] = []

    def call(progress: Progress) -> None:
        writer = open_writer(redis_config(server), tmp_path)
        opened = [(open_source(path, FEATURES), path) for path in paths]
        try:
            load_all([(s, LoadCheckpoint(p, s.stamp()), progress) for s, p in opened], writer)
        finally:
            writer.close()

    def flush_at_end(done: int, total: int) -> None:
        if done == total and not flushed:
            flushed.append(server.ask("FLUSHALL"))

    with pytest.raises(StoreLost, match="which starts over"):
        call(flush_at_end)
    call(lambda done, total: None)
    assert stored_keys(server) == keys_of() | keys_of(USERS)


EVENTS = st.lists(
    st.tuples(
        st.integers(0, PARTS),
        st.sampled_from(["cut", "cut before the checkpoint", "flush", "restart", "save", "rewind"]),
    ),
    max_size=5,
)
Event = Literal["cut", "cut before the checkpoint", "flush", "restart", "save", "rewind"]


@needs_redis
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_a_successful_command_means_all_rows_are_there_after_any_events(
    tmp_path: Path, server: RedisServer, events: list[tuple[int, Event]]
) -> None:
    """The events save and rewind reset the server to an earlier state, like a failover to a replica that was behind."""
    server.ask("FLUSHALL")
    (tmp_path / "dump.rdb").unlink(missing_ok=True)
    armed: list[bool] = []

    class Forgetful(LoadCheckpoint):
        def write(self, reached: LoadProgress) -> None:
            if armed:
                armed.pop()
                raise Cut
            super().write(reached)

    def restart(keep: bool) -> None:
        server.kill()
        if not keep:
            (tmp_path / "dump.rdb").unlink(missing_ok=True)
        server.restart()

    happening: dict[Event, Callable[[], None]] = {
        "cut": cut,
        "cut before the checkpoint": lambda: armed.append(True),
        "flush": lambda: server.ask("FLUSHALL"),
        "restart": lambda: restart(keep=False),
        "save": lambda: server.ask("SAVE"),
        "rewind": lambda: restart(keep=True),
    }
    loader = Loader(redis_config(server), write_users(tmp_path / "users.parquet"), checkpoint=Forgetful)
    for part, event in events:
        loader.at.setdefault(part, []).append(happening[event])
    _, failures = loader.call_until_success(2 * len(events) + 2)
    stored = stored_keys(server)
    marks = {key for key in stored if b"}load/" in key}
    assert stored - marks == keys_of()
    happened = {event for _, event in events}
    assert not marks or "rewind" in happened  # a rewind can bring back marks of a load that had ended
    assert not loader.checkpoint(loader.source, "").path.exists()
    if happened & {"flush", "restart"}:
        assert failures, "rows were lost during the command, but it reported no failure"


@needs_redis
@pytest.mark.slow
def test_notices_that_one_master_of_a_cluster_lost_its_rows(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as servers:
        config = redis_config(*servers, cluster=True)
        path = write_users(tmp_path / "users.parquet")
        for victim in servers:
            loader = Loader(config, path, at={4: [cut], 8: [lambda v=victim: v.ask("FLUSHALL")]})  # type: ignore[misc]
            with pytest.raises(Cut):
                loader.call()
            victim.ask("FLUSHALL")  # between two calls
            with pytest.raises(StoreLost, match="which starts over"):  # and during the second call
                loader.call()
            loaded = loader.call()
            assert (loaded.resumed, loaded.written) == (0, USERS)
            assert stored_keys(*servers) == keys_of()
        # A server is killed and restarted without its data.
        loader = Loader(config, path, at={4: [cut]})
        with pytest.raises(Cut):
            loader.call()
        servers[1].kill()
        servers[1].restart()
        until(lambda: all("cluster_state:ok" in str(server.ask("CLUSTER", "INFO")) for server in servers))
        loaded = loader.call()
        assert (loaded.resumed, loaded.lost, loaded.written) == (0, 4 * ROWS_A_PART, USERS)
        assert stored_keys(*servers) == keys_of()
        # A master that got slots after the load began has no mark. It could lose rows without notice.
        writer = open_writer(config, tmp_path)
        load_id = writer.begin_load()
        assert writer.holds_parts(load_id, 0)
        assert not writer.holds_parts(load_id.rpartition(":")[0], 0)
        writer.end_load(load_id)
        writer.close()


@pytest.mark.parametrize("when", ["between two calls", "during a call"])
@pytest.mark.parametrize("how", ["removed", "replaced", "emptied"])
def test_starts_over_if_an_embedded_store_was_removed_replaced_or_emptied(
    tmp_path: Path, how: str, when: str
) -> None:
    folder = tmp_path / "store"

    def lose() -> None:
        shutil.rmtree(folder)
        if how == "replaced":
            shutil.copytree(tmp_path / "other", folder)
        elif how == "emptied":
            folder.mkdir()

    other = LmdbStore(tmp_path / "other", readonly=False)
    other.write_many([(row_key("user", b"other"), b"row")])
    other.close()
    config, path = LmdbConfig(path="store"), write_users(tmp_path / "users.parquet")
    events = [lose] if when == "during a call" else [cut]
    loader = Loader(config, path, tmp_path, at={5: [*events]})
    with pytest.raises((StoreLost, Cut)):
        loader.call()
    if when == "between two calls":
        lose()
    loaded = loader.call()
    assert (loaded.resumed, loaded.written) == (0, USERS)
    store = LmdbStore(folder)
    keys = {key for key, _ in store.rows_after(b"")}
    store.close()
    expected = {key.removeprefix(b"rankway:") for key in keys_of()}
    assert keys == (expected | {row_key("user", b"other")} if how == "replaced" else expected)


def test_an_interrupted_load_into_lmdb_continues_and_leaves_no_mark(tmp_path: Path) -> None:
    path = write_users(tmp_path / "users.parquet")
    loader = Loader(LmdbConfig(path="store"), path, tmp_path, at={5: [cut]})
    loaded, _ = loader.call_until_success(2)
    assert (loaded.resumed, loaded.written) == (5 * ROWS_A_PART, USERS - 5 * ROWS_A_PART)
    store = LmdbStore(tmp_path / "store")
    assert store.count() == USERS
    store.close()


def test_does_not_copy_the_marks_of_an_interrupted_load(tmp_path: Path) -> None:
    loader = Loader(LmdbConfig(path="a"), write_users(tmp_path / "users.parquet"), tmp_path, at={5: [cut]})
    with pytest.raises(Cut):
        loader.call()
    loaded = Loader(LmdbConfig(path="b"), tmp_path / "a", tmp_path).call()
    assert loaded.written == 5 * ROWS_A_PART


@needs_redis
def test_fails_if_no_replica_confirms_the_rows(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_writer, "_WAIT_MS", 100)
    monkeypatch.setattr(redis_writer, "_WAITS", 100)
    folder = tmp_path / "replica"
    folder.mkdir()
    path = write_users(tmp_path / "users.parquet")
    server.ask("CONFIG", "SET", "repl-diskless-sync-delay", 0)
    with redis_server(
        folder, "--replicaof", f"127.0.0.1 {server.port}", "--repl-diskless-load", "swapdb"
    ) as replica:
        Loader(redis_config(server), path).call()
        assert stored_keys(replica) == keys_of()
        monkeypatch.setattr(redis_writer, "_WAITS", 1)
        replica.freeze()
        with pytest.raises(StoreFailed, match="none of its replicas confirmed them"):
            Loader(redis_config(server), path).call()
        replica.thaw()


@needs_redis
def test_names_the_commands_to_allow_if_a_user_may_not_set_marks(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    server.ask("ACL", "SETUSER", "loader", "on", ">secret", "~rankway:*", "+ping", "+set")
    config = redis_config(server).model_copy(update={"username": "loader", "password_env": "PASSWORD"})
    loader = Loader(config, write_users(tmp_path / "users.parquet"))
    with pytest.raises(StoreFailed, match="allow this user SET, SETBIT, BITPOS and DEL"):
        loader.call()
    server.ask("ACL", "SETUSER", "loader", "+setbit", "+bitpos", "+del")
    assert loader.call().written == USERS


@pytest.mark.parametrize(
    "garbled", ["", "load", "0123456789abcdef", "0123456789abcdef:x", "\ud800", "x" * 9999]
)
def test_a_damaged_load_id_counts_as_a_load_without_marks(tmp_path: Path, garbled: str) -> None:
    assert Marks(garbled, b"rankway:").keys == []
    path = write_users(tmp_path / "users.parquet")
    source = open_source(path, FEATURES)
    LoadCheckpoint(path, source.stamp()).write(LoadProgress(garbled, 3, 3 * ROWS_A_PART, 3 * ROWS_A_PART))
    assert Loader(LmdbConfig(path="store"), path, tmp_path).call().written == USERS
