"""A replica's parts are all closed, in a fixed order, even if a part cannot be made or closed."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import serve

from models.ragged import RaggedBatch
from services.app import StandaloneApp
from services.config.loading import load_config
from services.errors import ConfigError, Overloaded, StageFailed
from services.ingress.asgi import Message
from services.ingress.rehearsal import Rehearsal
from services.ingress.schema import RankRequest
from services.logs.served import ServedLog
from services.logs.traffic import TrafficLog
from services.releases.live import LiveReleases
from services.scheduling.runner import Runner
from services.stores.lmdb import LmdbStore
from services.telemetry.flusher import Flusher
from services.units import ingress_replica, replica
from services.units.ingress_replica import build_engine
from services.units.ingress_unit import IngressUnit
from services.units.ranker_unit import RankerUnit
from services.units.remote_ranker import RankerService
from services.units.replica import closed_on_error, group_runtimes
from tests.pipelines import SPLIT, make_pipeline, merged

LIMIT_S = 30.0
LOGGED = {"log": {"path": "log"}, "record": {"path": "traffic"}}
IN_CLOSING_ORDER = (Rehearsal, Runner, ServedLog, Flusher, TrafficLog, LiveReleases)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Fail if a replica's thread still runs after the test."""
    before = set(threading.enumerate())
    yield
    running = [thread.name for thread in threading.enumerate() if thread not in before]
    assert running == []


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """The parts' classes, in closing order."""
    order: list[type] = []
    for kind in IN_CLOSING_ORDER:
        note_closing(monkeypatch, kind, order)
    return order


def note_closing(monkeypatch: pytest.MonkeyPatch, kind: Any, order: list[type]) -> None:
    close = kind.close

    def noted(part: Any) -> None:
        order.append(kind)
        close(part)

    monkeypatch.setattr(kind, "close", noted)


def check_store_is_free(home: Path) -> None:
    """Check that no one has the store open: a process can open an LMDB store only once."""
    LmdbStore(home / "users.lmdb").close()


def in_loop(run: Any) -> None:
    async def within_limit() -> None:
        async with asyncio.timeout(LIMIT_S):
            await run()

    asyncio.run(within_limit())


def test_closes_the_parts_once_in_reverse_order(tmp_path: Path, closed: list[type]) -> None:
    async def run() -> None:
        engine = build_engine(load_config(make_pipeline(tmp_path, LOGGED)), tmp_path, replica="test")
        answer = await engine.rank(RankRequest(user_id="u1", k=3), "1")
        engine.close()
        engine.close()
        assert len(answer.items) == 3
        with pytest.raises(Overloaded, match="stopping"):
            await engine.rank(RankRequest(user_id="u1"), "2")

    in_loop(run)
    assert closed == list(IN_CLOSING_ORDER)
    check_store_is_free(tmp_path)
    assert list((tmp_path / "log").rglob("*.parquet")), "the log has no row for the answer"
    assert list((tmp_path / "traffic").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"record": {"path": "nosuch://traffic"}}, 1),
        ({"log": {"path": "nosuch://log"}}, 3),
    ],
    ids=["traffic log", "served log"],
)
def test_closes_the_earlier_parts_if_a_part_cannot_be_made(
    tmp_path: Path, closed: list[type], changes: Mapping[str, Any], made: int
) -> None:
    config = load_config(make_pipeline(tmp_path, merged(LOGGED, changes)))

    async def run() -> None:
        with pytest.raises(ConfigError, match="nosuch"):
            build_engine(config, tmp_path, replica="test")

    in_loop(run)
    assert closed == list(IN_CLOSING_ORDER[-made:])
    check_store_is_free(tmp_path)


def fail(*_: object, **__: object) -> None:
    raise OSError("out of threads")


@pytest.mark.parametrize(
    ("module", "part", "made"),
    [
        (replica, "LiveReleases", 0),
        (replica, "Flusher", 2),
        (replica, "Runner", 4),
        (ingress_replica, "Engine", 5),
    ],
)
def test_closes_everything_if_a_step_fails(
    tmp_path: Path,
    closed: list[type],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    part: str,
    made: int,
) -> None:
    monkeypatch.setattr(module, part, fail)
    others: list[str] = []

    async def run() -> None:
        closing = ExitStack()
        closing.callback(others.append, "closed")
        config = load_config(make_pipeline(tmp_path, LOGGED))
        with pytest.raises(OSError, match="out of threads"):
            build_engine(config, tmp_path, replica="test", closing=closing)

    in_loop(run)
    assert closed == list(IN_CLOSING_ORDER[len(IN_CLOSING_ORDER) - made :])
    assert others == ["closed"], "parts that were on the stack before are not closed"
    check_store_is_free(tmp_path)


class Failing:
    """A stage that cannot be warmed."""

    name = "failing"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        raise ValueError("bad weights")


def test_closes_everything_if_the_release_cannot_be_warmed(tmp_path: Path, closed: list[type]) -> None:
    async def run() -> None:
        config = load_config(make_pipeline(tmp_path, LOGGED))
        with pytest.raises(ValueError, match="bad weights"):
            build_engine(config, tmp_path, replica="test", first_stages=[Failing()])

    in_loop(run)
    assert closed == []
    check_store_is_free(tmp_path)


class FailingInThreads:
    """A stage that can be warmed, but not rehearsed."""

    name = "failing"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("bad threads")
        return batch


def test_reports_a_failed_rehearsal_and_closes_the_parts(tmp_path: Path, closed: list[type]) -> None:
    app = StandaloneApp(make_pipeline(tmp_path, LOGGED), tmp_path, first_stages=[FailingInThreads()])
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    in_loop(lambda: app({"type": "lifespan"}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "bad threads" in sent[0]["message"]
    assert closed == list(IN_CLOSING_ORDER)
    check_store_is_free(tmp_path)


def test_closes_the_other_parts_if_one_cannot_be_closed(
    tmp_path: Path, closed: list[type], monkeypatch: pytest.MonkeyPatch
) -> None:
    close = ServedLog.close

    def close_and_fail(log: ServedLog) -> None:
        close(log)
        raise OSError("disk full")

    monkeypatch.setattr(ServedLog, "close", close_and_fail)

    async def run() -> None:
        engine = build_engine(load_config(make_pipeline(tmp_path, LOGGED)), tmp_path, replica="test")
        with pytest.raises(OSError, match="disk full"):
            engine.close()

    in_loop(run)
    assert closed == list(IN_CLOSING_ORDER)
    check_store_is_free(tmp_path)


class Group:
    """A stand-in for a replica's shard group."""

    def __init__(self) -> None:
        self.closed = 0

    def load_runtime(self, *_: object) -> None:
        raise ConfigError("rank 1 cannot load it: shard it otherwise")

    def close(self) -> None:
        self.closed += 1


def test_ends_the_other_ranks_if_the_model_cannot_be_loaded(tmp_path: Path) -> None:
    group: Any = Group()

    async def run() -> None:
        with pytest.raises(ConfigError, match="rank 1"), closed_on_error(ExitStack()) as closing:
            load = group_runtimes(group, closing)
            build_engine(
                load_config(make_pipeline(tmp_path)),
                tmp_path,
                replica="test",
                load_runtime=load,
                closing=closing,
            )

    in_loop(run)
    assert group.closed == 1
    check_store_is_free(tmp_path)


@pytest.mark.parametrize("fails", [False, True])
def test_ingress_unit_closes_its_parts_after_a_failed_start_and_at_its_end(
    tmp_path: Path, closed: list[type], monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    log = {"log": {"path": "nosuch://log" if fails else "log"}}
    config = load_config(make_pipeline(tmp_path, merged(LOGGED, log)))
    context = SimpleNamespace(replica_id=SimpleNamespace(unique_id="r1"), deployment="main")
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    stop = IngressUnit.__del__
    monkeypatch.delattr(IngressUnit, "__del__")  # the interpreter calls it without awaiting it

    async def run() -> None:
        unit: Any = IngressUnit.__new__(IngressUnit)
        try:
            unit.__init__(config.model_dump(mode="json"), str(tmp_path))
        except ConfigError:
            assert fails
        else:
            assert not fails
            assert closed == []
        await stop(unit)  # Serve calls it in any case

    in_loop(run)
    assert closed == list(IN_CLOSING_ORDER[-3:] if fails else IN_CLOSING_ORDER)
    check_store_is_free(tmp_path)


@pytest.mark.parametrize("fails", [False, True])
def test_ranker_unit_closes_its_parts_after_a_failed_rehearsal_and_at_its_end(
    tmp_path: Path, closed: list[type], monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    config = load_config(make_pipeline(tmp_path, merged(SPLIT, {"record": {"path": "traffic"}})))
    context = SimpleNamespace(replica_id=SimpleNamespace(unique_id="r1"), deployment="scorer")
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)

    async def cannot(*_: object) -> None:
        raise StageFailed("stage ranker failed")

    if fails:
        monkeypatch.setattr(RankerService, "rehearse", cannot)
    stop = RankerUnit.__del__
    monkeypatch.delattr(RankerUnit, "__del__")  # the interpreter calls it without awaiting it

    async def run() -> None:
        unit: Any = RankerUnit.__new__(RankerUnit)
        try:
            await unit.__init__(config.model_dump(mode="json"), str(tmp_path))
        except StageFailed:
            assert fails
        else:
            assert not fails
            assert closed == []
            assert unit.record_autoscaling_stats()["arrived_requests"] == 0
        await stop(unit)  # Serve calls it in any case

    in_loop(run)
    assert closed == [Runner, Flusher, TrafficLog, LiveReleases]
