"""What the scaler says of a decision: what was asked for, what is there, and what there may be."""

import pytest

from autoscale.policies.base import UnitObservation
from autoscale.spec import Key
from services.autoscaling.metrics import ScalingMetrics
from tests.services.telemetry.test_metrics import Gauge, Series, given


def test_a_decision_tells_target_ready_bound_and_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = ScalingMetrics("small", Key("ranker", "gpu"), 12, 150.0)
    gauges = ("_replicas", "_rates", "_objective", "_waiting", "_shed", "_age_s")
    for name, series in ({name: Gauge() for name in gauges} | {"_outcomes": Series()}).items():
        monkeypatch.setattr(metrics, name, series)
    metrics.decided(2, 5, UnitObservation(target=2, ready=3), age_s=1.5)
    assert given(metrics, "_replicas") == [(5, {"of": "target"}), (3, {"of": "ready"}), (12, {"of": "max"})]
    assert given(metrics, "_objective") == [(150.0, {})]
    assert given(metrics, "_age_s") == [(1.5, {})]
    assert given(metrics, "_outcomes") == [(1, {"outcome": "up"})]
