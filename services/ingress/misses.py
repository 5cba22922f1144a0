"""Misses: requests that more replicas could have answered completely and in time. Autoscaling policies use the count.

A request is not counted if the cause of its failure was an error, a slow feature store, or its own short deadline.
"""

from services.config.pipeline import PipelineConfig
from services.stages.features import MISSED as NO_FEATURES
from services.telemetry.metrics import UnitMetrics

_FOR_TIME = (":late", ":load")
_STORE_SHARE = 0.5
"""If the features stage alone takes this share of the objective, the store is slow, and misses are not counted."""


class Misses:
    """Counts one ingress replica's misses in its metrics."""

    def __init__(self, config: PipelineConfig, metrics: UnitMetrics) -> None:
        """Compare answers with the objective, or with the default deadline if the pipeline has no objective."""
        scaling = config.autoscaling
        self._objective_ms = config.requests.default_deadline_ms if scaling is None else scaling.p99_ms
        self._metrics = metrics

    def answered(self, elapsed_ms: float, degraded: str | None, deadline_ms: float | None) -> None:
        """Count an answer as a miss if it came after the objective or was degraded for lack of time."""
        late = elapsed_ms > self._objective_ms
        if not late and degraded is None:
            return
        reasons = degraded.split(",") if degraded else []
        if NO_FEATURES not in reasons and (late or any(reason.endswith(_FOR_TIME) for reason in reasons)):
            self.refused(deadline_ms)

    def refused(self, deadline_ms: float | None) -> None:
        """Count a request that was refused for lack of time."""
        if deadline_ms is not None and deadline_ms < self._objective_ms:
            return
        if self._metrics.stage_ms.get("features", 0.0) < _STORE_SHARE * self._objective_ms:
            self._metrics.missed(1)
