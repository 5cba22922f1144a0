"""Counts by outcome: names, labels and sums."""

from services.telemetry.outcomes import LogMetrics, cache_lookups, history_lookups
from tests.services.ray_metrics import Exported


def test_look_ups_in_the_two_caches_are_separate_series(exported: Exported) -> None:
    for lookups, times in ((cache_lookups("small", "r1"), 2), (history_lookups("small", "r1"), 3)):
        lookups.add("hit", times)
        lookups.flush()
    labels = ("pipeline", "replica", "result")
    assert exported.labels["rankway_response_cache_total"] == labels
    assert exported.value("rankway_response_cache_total", pipeline="small", result="hit") == 2
    assert exported.value("rankway_history_cache_total", pipeline="small", result="hit") == 3


def test_written_and_dropped_rows_are_separate_series(exported: Exported) -> None:
    metrics = LogMetrics("small", "r1")
    metrics.written("lists", 5)
    metrics.dropped("waiting", 2)
    metrics.flush()
    assert exported.values("rankway_log_rows_total", "kind") == {"lists": 5}
    assert exported.values("rankway_log_dropped_rows_total", "reason") == {"waiting": 2}
