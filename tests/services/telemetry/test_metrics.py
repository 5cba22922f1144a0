"""What is noted reaches Ray's series once, whatever thread hands it over."""

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from services.telemetry.features import ReleaseMetrics, RowMetrics, StoreMetrics
from services.telemetry.flusher import Flusher
from services.telemetry.metrics import RequestMetrics, UnitMetrics


class Series:
    """Keeps what a Ray series is given."""

    def __init__(self) -> None:
        self.given: list[tuple[float, dict[str, str]]] = []

    def inc(self, value: float, tags: dict[str, str] | None = None) -> None:
        assert value > 0, "Ray refuses to count nothing"
        self.given.append((value, tags or {}))


class Counted(Series):
    """Keeps what a histogram is given, in one list."""

    def observe(self, values: Iterable[float], labels: dict[str, str] | None = None) -> None:
        self.given.extend((value, labels or {}) for value in values)

    def export(self) -> None:
        pass


class Gauge(Series):
    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        self.given.append((value, tags or {}))


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> UnitMetrics:
    metrics = UnitMetrics("main", "r1")
    for name, series in (
        ("_served", Series()),
        ("_batch", Counted()),
        ("_stage", Counted()),
        ("_waiting", Gauge()),
    ):
        monkeypatch.setattr(metrics, name, series)
    return metrics


def given(metrics: Any, name: str) -> list[tuple[float, dict[str, str]]]:
    found: list[tuple[float, dict[str, str]]] = getattr(metrics, name).given
    return found


def test_a_batch_is_handed_over_once(unit: UnitMetrics) -> None:
    unit.batch_done(1, 200, {"features": 1.5, "ranker": 3.0})
    unit.queue(40)
    assert given(unit, "_served") == []
    unit.flush()
    unit.flush()
    assert given(unit, "_served") == given(unit, "_batch") == [(200, {})]
    assert given(unit, "_stage") == [(1.5, {"stage": "features"}), (3.0, {"stage": "ranker"})]
    assert given(unit, "_waiting") == [(40, {}), (40, {})]
    assert (unit.batch_count, unit.candidate_count) == (1, 200)


def test_answers_are_counted_by_status_and_route_and_by_what_they_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = RequestMetrics("small", "r1")
    for name, series in (("_requests", Series()), ("_degraded", Series()), ("_latency", Counted())):
        monkeypatch.setattr(metrics, name, series)
    for status, degraded in ((200, None), (429, None), (200, "features"), (200, "features,ranker")):
        metrics.answered(status, 2.0, "/v1/rank", degraded)
    metrics.answered(429, 2.0, "/v1/feedback")
    metrics.flush()
    assert given(metrics, "_requests") == [
        (3, {"status": "200", "route": "/v1/rank"}),
        (1, {"status": "429", "route": "/v1/rank"}),
        (1, {"status": "429", "route": "/v1/feedback"}),
    ]
    assert given(metrics, "_degraded") == [(2, {"reason": "features"}), (1, {"reason": "ranker"})]
    assert len(given(metrics, "_latency")) == 5


def test_notes_made_while_others_are_handed_over_are_not_lost(unit: UnitMetrics) -> None:
    def note() -> None:
        for _ in range(2000):
            unit.batch_done(1, 1, {})

    threads = [threading.Thread(target=note) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        unit.flush()
    unit.flush()
    assert sum(value for value, _ in given(unit, "_served")) == len(given(unit, "_batch")) == 4000


def test_the_flusher_hands_over_the_rest_when_it_closes_and_outlives_a_failure(unit: UnitMetrics) -> None:
    class Failing:
        def flush(self) -> None:
            raise RuntimeError("Ray is gone")

    flusher = Flusher([Failing(), unit])
    unit.batch_done(1, 7, {})
    flusher.close()
    assert given(unit, "_served") == [(7, {})]


def test_servers_that_are_left_alone_are_told_as_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([0, 2, 0])
    metrics = StoreMetrics("main", "r1", lambda: next(counts))
    monkeypatch.setattr(metrics, "_series", Gauge())
    for _ in range(3):
        metrics.flush()
    assert given(metrics, "_series") == [(0, {}), (2, {}), (0, {})]


def test_a_release_that_cannot_be_loaded_is_told_until_another_is_active(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = iter([False, True, False])
    metrics = ReleaseMetrics("small", "main", "r1", lambda: next(failed))
    monkeypatch.setattr(metrics, "_series", Gauge())
    for _ in range(3):
        metrics.flush()
    assert given(metrics, "_series") == [(0, {}), (1, {}), (0, {})]


def test_rows_that_cannot_be_read_are_summed_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = RowMetrics("main", "r1")
    monkeypatch.setattr(metrics._rows, "_series", Series())
    for group, count in (("user", 2), ("realtime", 1), ("user", 3)):
        metrics.unreadable(group, count)
    metrics.flush()
    metrics.flush()
    assert given(metrics._rows, "_series") == [(5, {"group": "user"}), (1, {"group": "realtime"})]
