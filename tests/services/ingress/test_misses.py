"""Requests that count as missed: more replicas could have answered them completely and in time."""

import time
from pathlib import Path
from typing import Any

import pytest

from models.ragged import RaggedBatch
from services.app import StandaloneApp
from services.autoscaling.observations import recorded
from services.config.loading import load_config
from services.ingress.misses import Misses
from services.telemetry.metrics import UnitMetrics
from tests.pipelines import make_pipeline
from tests.services.servers import ask, http_request, http_server, rank_request

OBJECTIVE_MS = 100.0


def scaling(p99_ms: float) -> dict[str, Any]:
    return {"autoscaling": {"policy": {"kind": "target_ongoing"}, "p99_ms": p99_ms}}


@pytest.fixture
def metrics() -> UnitMetrics:
    return UnitMetrics("main", "test")


@pytest.fixture
def misses(metrics: UnitMetrics, tmp_path: Path) -> Misses:
    return Misses(load_config(make_pipeline(tmp_path, scaling(OBJECTIVE_MS))), metrics)


@pytest.mark.parametrize(
    ("elapsed_ms", "degraded", "deadline_ms", "counted"),
    [
        (20.0, None, None, 0),
        (120.0, None, None, 1),
        (20.0, "ranker:popular:late", None, 1),
        (20.0, "ranker:distilled:load", None, 1),
        (120.0, "ranker:popular:late", None, 1),
        (20.0, "ranker:popular:failed", None, 0),
        (20.0, "features", None, 0),
        (120.0, "features", None, 0),
        (20.0, "features,ranker:distilled:late", None, 0),
        (20.0, "ranker:popular:late", 2.0, 0),
        (20.0, "ranker:popular:late", OBJECTIVE_MS, 1),
    ],
)
def test_counts_answer_that_lacked_time_if_its_deadline_allowed_it(
    misses: Misses,
    metrics: UnitMetrics,
    elapsed_ms: float,
    degraded: str | None,
    deadline_ms: float | None,
    counted: int,
) -> None:
    misses.answered(elapsed_ms, degraded, deadline_ms)
    assert metrics.missed_requests == counted
    assert recorded(0, metrics)["missed_requests"] == counted


def test_counts_refusal_unless_its_deadline_was_too_short(misses: Misses, metrics: UnitMetrics) -> None:
    misses.refused(None)
    misses.refused(2.0)
    assert metrics.missed_requests == 1


def test_counts_nothing_while_the_feature_store_is_slow(misses: Misses, metrics: UnitMetrics) -> None:
    metrics.batch_done(1, 20, {"features": 80.0, "ranker": 5.0})
    misses.answered(120.0, "ranker:popular:late", None)
    metrics.batch_done(1, 20, {"memory": 0.2})  # the batch was late, so the store is not read
    misses.answered(20.0, "ranker:popular:late", None)
    misses.refused(None)
    assert metrics.missed_requests == 0
    metrics.batch_done(1, 20, {"features": 2.0, "ranker": 90.0})
    misses.answered(120.0, None, None)
    assert metrics.missed_requests == 1


class Slow:
    """A stage that takes 100 ms for requests of known users."""

    name = "slow"

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        if batch.user_keys[0]:  # warm-up has no user
            time.sleep(0.1)
        return batch


@pytest.mark.parametrize(("p99_ms", "counted"), [(80.0, 2), (60_000.0, 0)])
def test_answers_over_http_are_compared_with_the_objective(
    tmp_path: Path, p99_ms: float, counted: int
) -> None:
    app = StandaloneApp(make_pipeline(tmp_path, scaling(p99_ms)), tmp_path, first_stages=[Slow()])
    with http_server(app) as port:
        assert app.rank_app is not None
        engine = app.rank_app.engine
        for _ in range(2):
            assert ask(port, rank_request({"user_id": "u1"})).status == 200
        assert ask(port, rank_request({"user_id": "u1", "k": -1})).status == 422
        assert ask(port, http_request("GET", "/healthz")).status == 200
        assert engine.metrics.missed_requests == counted


def test_counts_requests_that_the_queue_refuses_over_http(tmp_path: Path) -> None:
    changes = scaling(60_000.0) | {"requests": {"default_deadline_ms": 60_000}}
    app = StandaloneApp(make_pipeline(tmp_path, changes), tmp_path)
    with http_server(app) as port:
        assert ask(port, rank_request({"user_id": "u1"})).status == 200
        assert app.rank_app is not None
        engine = app.rank_app.engine
        engine.runner.close()  # like a replica that stops: every request is refused
        assert ask(port, rank_request({"user_id": "u1"})).status == 429
        assert engine.metrics.missed_requests == 1
