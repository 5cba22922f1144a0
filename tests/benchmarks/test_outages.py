"""Faults of real processes, and how the answers around them are evaluated."""

import time
from pathlib import Path

import pytest

from benchmarks.faults import as_text
from benchmarks.harness.redis_server import RedisServer, redis_server
from benchmarks.harness.results import Answered, LoadResult
from benchmarks.outages.disk import disk_fault, limited_disk
from benchmarks.outages.fault import Fault
from benchmarks.outages.store import store_faults
from benchmarks.outages.timeline import Moments, is_whole, outage_of
from models.features.rows import row_key
from tests.services.stores.servers import needs_redis

LOAD = LoadResult(
    client="test", loop="open", clients=1, offered_rps=1.0, window_s=1.0, requests=6, rps=6.0,
    p50_ms=1.0, p99_ms=1.0, p999_ms=1.0, errors=1, missed=2,
)  # fmt: skip


def answer(at_s: float, took_s: float = 0.01, status: int = 200, degraded: str | None = None) -> Answered:
    reason = "null" if degraded is None else f'"{degraded}"'
    data = f'HTTP/1.1 {status} X\r\n\r\n{{"items":[],"degraded":{reason}}}'
    return Answered(at_s - took_s, at_s, data.encode())


def test_recovery_lasts_until_the_last_refused_degraded_or_late_answer() -> None:
    answers = [
        answer(1.0, took_s=0.020),
        answer(2.0, degraded="features", took_s=0.050),
        answer(4.5, degraded="features"),
        answer(5.0, status=429),
        answer(5.5, took_s=0.7),  # after its deadline
        answer(6.0, took_s=0.030),
    ]
    outage = outage_of("redis-kill", "what", answers, LOAD, Moments(1.5, 4.0, None), 0.5, {"x": 1.0})
    assert outage.recovered_s == 1.5
    assert outage.replaced_s is None
    assert outage.statuses == {"200": 5, "429": 1}
    assert outage.degraded == {"features": 2}
    assert (outage.lost, outage.missed, outage.server_errors) == (1, 2, 0)
    assert outage.p99_before_ms == pytest.approx(20.0)
    assert outage.p99_after_ms == pytest.approx(30.0)
    assert outage.worst_ms == pytest.approx(700.0)


def test_recovery_counts_from_the_fault_if_nothing_is_repaired() -> None:
    answers = [answer(1.0), answer(2.5, status=500), answer(3.0)]
    outage = outage_of("ingress-kill", "what", answers, LOAD, Moments(2.0, None, 9.0), 0.5, {})
    assert (outage.recovered_s, outage.replaced_s, outage.server_errors) == (0.5, 7.0, 1)
    assert [is_whole(each) for each in answers] == [True, False, True]


def test_fault_without_effect_has_zero_recovery_time() -> None:
    outage = outage_of("x", "what", [answer(1.0), answer(3.0)], LOAD, Moments(2.0, 2.5, None), 0.5, {})
    assert outage.recovered_s == 0.0
    row = {name: getattr(outage, name) for name in outage.__slots__} | {"server_errors": 0}
    text = as_text({"rate": 5.0, "outages": [row], "skipped": {"log-full": "no"}})
    assert "0.00 s" in text
    assert "log-full: skipped, no" in text


def fault_of(server: RedisServer, name: str) -> Fault:
    return next(
        fault
        for fault in store_faults(server, [row_key("user", user) for user in (b"u1", b"u2")])
        if fault.name == name
    )


@needs_redis
def test_killed_store_restarts_with_its_rows(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        with server.client() as client:
            client.set("a", b"1")
        server.save()
        fault = fault_of(server, "redis-kill")
        fault.injure()
        assert fault.repair is not None
        fault.repair()
        with server.client() as client:
            assert client.get("a") == b"1"


@needs_redis
def test_rows_replaced_by_garbage_are_restored(tmp_path: Path) -> None:
    key = row_key("user", b"u1")
    with redis_server(tmp_path) as server, server.client() as client:
        client.set(key, b"row")
        fault = fault_of(server, "redis-garbage")
        fault.injure()
        assert client.get(key) != b"row"
        assert client.dbsize() == 1  # missing rows are not created
        assert fault.repair is not None
        fault.repair()
        assert client.get(key) == b"row"


@needs_redis
def test_full_store_refuses_writes_of_other_clients(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, server.client() as client:
        fault = fault_of(server, "redis-full")
        fault.injure()
        limit_s = time.monotonic() + 20
        while fault.notes()["writes_refused"] == 0 and time.monotonic() < limit_s:
            client.ping()
        assert fault.repair is not None
        fault.repair()
        assert fault.notes()["writes_refused"] > 0
        assert client.set("b", b"2")


def test_full_disk_accepts_no_writes_until_it_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with limited_disk(folder) as is_allowed:
        if not is_allowed:
            pytest.skip("this user may not mount a file system")
        fault = disk_fault(folder, lambda: 0.0)
        fault.injure()
        with pytest.raises(OSError, match="No space left"):
            (folder / "more").write_bytes(b"x" * 8192)
        assert fault.repair is not None
        fault.repair()
        (folder / "a.parquet").write_bytes(b"x" * 8192)
        assert fault.notes() == {"rows_dropped": 0.0, "files_after": 1.0}
    assert list(folder.iterdir()) == []
