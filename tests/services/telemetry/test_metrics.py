"""Notes about units and requests are exported once, regardless of the flushing thread."""

import threading

import pytest

from services.telemetry.metrics import RequestMetrics, UnitMetrics
from tests.services.ray_metrics import Exported

SERVED = "rankway_candidates_served_total"


@pytest.fixture
def unit(exported: Exported) -> UnitMetrics:
    return UnitMetrics("main", "r1", "gpu")


def test_batch_is_exported_once(exported: Exported, unit: UnitMetrics) -> None:
    unit.batch_done(1, 200, {"features": 1.5, "ranker": 3.0})
    unit.queue(40)
    assert exported.series == {}
    unit.flush()
    unit.flush()
    assert exported.series[SERVED] == {'pool="gpu", replica="r1", unit="main"': 200}
    assert exported.value("rankway_batch_candidates_sum", unit="main", pool="gpu") == 200
    assert exported.value("rankway_batch_candidates_count") == 1
    assert exported.values("rankway_stage_latency_ms_sum", "stage") == {"features": 1.5, "ranker": 3.0}
    assert exported.values("rankway_stage_latency_ms_count", "stage") == {"features": 1, "ranker": 1}
    assert exported.value("rankway_candidates_waiting") == 40
    assert (unit.batch_count, unit.candidate_count) == (1, 200)


def test_counts_arrived_refused_and_missed_requests(exported: Exported, unit: UnitMetrics) -> None:
    for _ in range(2):
        unit.arrived(1, 200)
        unit.shed(1)
        unit.missed(3)
        unit.flush()
    unit.flush()
    assert exported.value("rankway_candidates_arrived_total") == 400
    assert exported.value("rankway_requests_shed_total") == 2
    assert exported.value("rankway_requests_missed_total") == 6


def test_counts_answers_by_status_route_and_degradation(exported: Exported) -> None:
    metrics = RequestMetrics("small", "r1")
    for status, degraded in ((200, None), (429, None), (200, "features"), (200, "features,ranker")):
        metrics.answered(status, 2.0, "/v1/rank", degraded)
    metrics.answered(429, 2.0, "/v1/feedback")
    metrics.flush()
    metrics.flush()
    requests = "rankway_requests_total"
    assert exported.value(requests, status="200") == 3
    assert exported.value(requests, status="429", route="/v1/rank") == 1
    assert exported.value(requests, status="429", route="/v1/feedback") == 1
    assert exported.values("rankway_degraded_total", "reason") == {"features": 2, "ranker": 1}
    assert exported.value("rankway_request_latency_ms_count", pipeline="small") == 5


def test_loses_no_notes_made_during_a_flush(exported: Exported, unit: UnitMetrics) -> None:
    def note() -> None:
        for _ in range(2000):
            unit.batch_done(1, 1, {})

    threads = [threading.Thread(target=note) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        unit.flush()
    unit.flush()
    assert exported.value(SERVED) == exported.value("rankway_batch_candidates_count") == 4000
