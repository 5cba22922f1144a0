"""A labelled counter reaches Ray once, summed, whatever thread notes and hands over."""

import threading
from typing import Any

import pytest

from services.telemetry.counter import LabelledCount
from services.telemetry.outcomes import LogMetrics, cache_lookups


class Series:
    """Keeps what a Ray series is given."""

    def __init__(self, name: str, description: str, keys: tuple[str, ...]) -> None:
        self.name, self.keys = name, keys
        self.given: list[tuple[int, dict[str, str]]] = []

    def set_default_tags(self, tags: dict[str, str]) -> None:
        self.tags = tags

    def inc(self, value: int, tags: dict[str, str]) -> None:
        assert value > 0, "Ray refuses to count nothing"
        self.given.append((value, tags))


@pytest.fixture(autouse=True)
def _series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.telemetry.counter.metrics.Counter", Series)


def series(count: LabelledCount) -> Any:
    return count._series


def test_notes_are_summed_by_value_and_handed_over_once() -> None:
    lookups = cache_lookups("small", "r1")
    lookups.flush()
    lookups.add("hit")
    lookups.add("evicted", 3)
    lookups.add("hit")
    lookups.flush()
    lookups.flush()
    found = series(lookups)
    assert found.given == [(2, {"result": "hit"}), (3, {"result": "evicted"})]
    assert (found.name, found.keys) == ("rankway_response_cache_total", ("pipeline", "replica", "result"))
    assert found.tags == {"pipeline": "small", "replica": "r1"}


def test_what_became_of_rows_goes_to_two_series() -> None:
    told = LogMetrics("small", "r1")
    told.written("lists", 5)
    told.dropped("waiting", 2)
    told.flush()
    assert series(told._written).given == [(5, {"kind": "lists"})]
    assert series(told._dropped).given == [(2, {"reason": "waiting"})]


def test_notes_made_while_others_are_handed_over_are_not_lost() -> None:
    lookups = cache_lookups("small", "r1")

    def note() -> None:
        for _ in range(5000):
            lookups.add("hit")

    threads = [threading.Thread(target=note) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        lookups.flush()
    lookups.flush()
    assert sum(value for value, _ in series(lookups).given) == 10_000
