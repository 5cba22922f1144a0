"""A pipeline over a real Redis that fails under load: every request is answered, and reports missing features."""

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from models.features.rows import UserRowCodec, row_key
from services.config.loading import load_config
from services.deployment.advice import store_warnings
from services.deployment.check import Preflight, check_artifacts
from services.ingress.engine import Engine
from services.ingress.schema import RankRequest
from services.stages.features import load_definitions
from services.stores import open_writer
from services.stores.loading import LoadCheckpoint, load
from services.stores.sources import open_source
from services.units.ingress_replica import build_engine
from tests.pipelines import FEATURES, USERS, bias_of, make_pipeline
from tests.services.processes import served
from tests.services.servers import Connection, Reply, rank_request
from tests.services.stores.servers import PATIENT, RedisServer, needs_redis, redis_server

pytestmark = needs_redis
APPEND = ("--appendonly", "yes", "--appendfsync", "always")
"""Redis writes to disk before it answers, so a killed server still has its rows after a restart."""
CLIENTS = 8
LIMIT_S = 30.0


@dataclass
class Crowd:
    """Clients that ask for one user after the other. They sort answers by the reported degradation.

    A wrong score fails the test.
    """

    engine: Engine
    answers: "Counter[str | None]" = field(default_factory=Counter)
    turn: Iterator[int] = field(default_factory=itertools.count)
    lacking: set[int] = field(default_factory=set)
    stopped: bool = False

    async def client(self, number: int) -> None:
        while not self.stopped:
            user = next(self.turn) % USERS
            request = RankRequest(user_id=f"u{user}", candidates=["item-0007"], deadline_ms=20_000, k=1)
            answer = await self.engine.rank(request, str(number))
            own = bias_of(user) if answer.degraded is None else 0.0
            assert [item.score for item in answer.items] == [7 + own]
            self.answers[answer.degraded] += 1
            if answer.degraded is not None:
                self.lacking.add(user)

    async def until(self, degraded: str | None, count: int = 30) -> None:
        """Wait for ``count`` further answers with this degradation in a row."""
        while True:
            before = self.answers.copy()
            while self.answers.total() - before.total() < count:
                await asyncio.sleep(0)
            if self.answers[degraded] - before[degraded] >= count:
                return


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, *APPEND) as running:
        yield running


def under_load(
    home: Path, server: RedisServer, scenario: Callable[[Crowd], Awaitable[None]], **store: Any
) -> None:
    changes = {
        "features": {"store": {"kind": "redis", "nodes": [server.node], **PATIENT, **store}},
        "units": {"main": {"max_calls_in_flight": 2}},
    }
    path = make_pipeline(home, changes)
    fill(path, home)
    config = load_config(path)

    async def run() -> None:
        engine = build_engine(config, home, replica="test")
        crowd = Crowd(engine)
        try:
            async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
                for number in range(CLIENTS):
                    group.create_task(crowd.client(number))
                try:
                    await crowd.until(None)
                    await scenario(crowd)
                finally:
                    crowd.stopped = True
        finally:
            engine.close()

    asyncio.run(run())


def fill(config: Path, home: Path) -> None:
    """Load the small pipeline's embedded store into its Redis."""
    pipeline, users = load_config(config), home / "users.lmdb"
    assert pipeline.features.store is not None
    source = open_source(users, load_definitions(home / "features.yaml"))
    writer = open_writer(pipeline.features.store, home)
    assert (
        load(source, writer, LoadCheckpoint(users, source.stamp()), lambda done, total: None).written == USERS
    )
    writer.close()


def test_pipeline_starts_without_its_store_and_logs_the_remedy(tmp_path: Path) -> None:
    changes = {"features": {"store": {"kind": "redis", "nodes": ["127.0.0.1:1"]}}}
    config = load_config(make_pipeline(tmp_path, changes))
    assert check_artifacts(config, tmp_path) == []
    (warning,) = store_warnings(Preflight(config, tmp_path))
    assert "Redis at 127.0.0.1:1 does not answer" in warning
    assert "start it, or correct features.store" in warning

    async def run() -> None:
        engine = build_engine(config, tmp_path, replica="test")
        try:
            answer = await engine.rank(RankRequest(user_id="u1", candidates=["item-0007"]), "1")
        finally:
            engine.close()
        assert answer.degraded == "features"
        assert [item.score for item in answer.items] == [7.0]

    asyncio.run(run())


def test_answers_while_the_store_is_killed_and_restarted(tmp_path: Path, server: RedisServer) -> None:
    async def scenario(crowd: Crowd) -> None:
        server.kill()
        await crowd.until("features")
        await asyncio.to_thread(server.restart)
        await crowd.until(None, 200)

    under_load(tmp_path, server, scenario)


def test_answers_while_the_store_is_frozen_and_thawed(tmp_path: Path, server: RedisServer) -> None:
    async def scenario(crowd: Crowd) -> None:
        server.freeze()
        await crowd.until("features", 200)
        server.thaw()
        await crowd.until(None, 200)

    under_load(tmp_path, server, scenario, timeout_ms=100, connect_timeout_ms=300)


def test_corrupt_row_degrades_only_its_own_user(tmp_path: Path, server: RedisServer) -> None:
    async def scenario(crowd: Crowd) -> None:
        values = [b"", b"garbage", b"\0" * 8, UserRowCodec(FEATURES).tag, b"x" * 100_000]
        for user, value in enumerate(values):
            with server.client() as client:
                client.set(b"rankway:" + row_key("user", b"u%d" % user), value)
        seen = crowd.answers.total()
        while crowd.answers.total() - seen < 10 * USERS:
            await asyncio.sleep(0)
        assert crowd.lacking == set(range(len(values)))

    under_load(tmp_path, server, scenario)


def test_answers_while_the_store_is_full(tmp_path: Path, server: RedisServer) -> None:
    async def scenario(crowd: Crowd) -> None:
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "maxmemory", "1")
        await crowd.until(None, 200)

    under_load(tmp_path, server, scenario)


@pytest.mark.slow
def test_no_request_over_http_fails_while_the_store_restarts(tmp_path: Path, server: RedisServer) -> None:
    seen: Counter[tuple[int, str | None]] = Counter()
    changed, stop = threading.Condition(), threading.Event()

    def client(user: int) -> None:
        data = rank_request({"user_id": f"u{user}", "candidates": ["item-0007"], "deadline_ms": 20_000})
        while not stop.is_set():
            with Connection(service.port) as connection:
                while not stop.is_set():
                    reply = connection.ask(data)
                    note(user, reply)
                    if reply.headers.get("connection", "").lower() == "close":
                        break  # a proxy that is being replaced announces it with its last answer

    def note(user: int, reply: Reply) -> None:
        degraded = reply.json["degraded"] if reply.status == 200 else None
        own = bias_of(user) if degraded is None else 0.0
        right = reply.status == 200 and reply.json["items"][0]["score"] == 7 + own
        with changed:
            seen[reply.status if right else 0, degraded] += 1
            changed.notify_all()

    def until(degraded: str | None, count: int = 300) -> None:
        with changed:
            wanted = seen[200, degraded] + count
            assert changed.wait_for(lambda: seen[200, degraded] >= wanted, LIMIT_S), seen

    store = {"kind": "redis", "nodes": [server.node], **PATIENT}
    changes = {"features": {"store": store}, "units": {"main": {"replicas": 2, "max_calls_in_flight": 2}}}
    with served(tmp_path, changes) as service:
        assert any("is empty; load it" in line for line in service.output)
        fill(tmp_path / "pipeline.yaml", tmp_path)
        threads = [threading.Thread(target=client, args=(user,), daemon=True) for user in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            until(None)
            server.kill()
            until("features")
            server.restart()
            until(None)
            server.freeze()
            until("features")
            server.thaw()
            until(None)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    assert set(seen) == {(200, None), (200, "features")}
