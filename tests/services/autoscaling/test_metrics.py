"""The series that a scaling decision exports."""

from autoscale.policies.base import UnitObservation
from autoscale.spec import Key
from services.autoscaling.metrics import ScalingMetrics
from tests.services.ray_metrics import Exported


def test_decision_exports_target_ready_bound_and_objective(exported: Exported) -> None:
    metrics = ScalingMetrics("small", Key("ranker", "gpu"), 12, 150.0)
    metrics.decided(2, 5, UnitObservation(target=2, ready=3), age_s=1.5)
    replicas = exported.values("rankway_autoscaling_replicas", "of")
    assert replicas == {"target": 5, "ready": 3, "max": 12}
    assert exported.value("rankway_autoscaling_objective_ms", unit="ranker", pool="gpu") == 150.0
    assert exported.value("rankway_autoscaling_metrics_age_s", pipeline="small") == 1.5
    assert exported.values("rankway_autoscaling_decisions_total", "outcome") == {"up": 1}
