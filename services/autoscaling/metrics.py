"""Prometheus series about the scaler's decisions, exported by Ray in Serve's controller process.

    rankway_autoscaling_replicas{pipeline, unit, pool, of}          of: target, ready, max (the upper bound)
    rankway_autoscaling_objective_ms{pipeline, unit, pool}          the policy's latency objective (p99)
    rankway_autoscaling_candidates_per_s{pipeline, unit, pool, of}  of: arriving, served, as observed
    rankway_autoscaling_waiting_candidates{pipeline, unit, pool}
    rankway_autoscaling_shed_requests_per_s{pipeline, unit, pool}
    rankway_autoscaling_missed_requests_per_s{pipeline, unit, pool}  ingress only
    rankway_autoscaling_metrics_age_s{pipeline, unit, pool}
    rankway_autoscaling_decisions_total{pipeline, unit, pool, outcome}  up, down, same, error

The reason for a decision is a line in the controller's log. If the reason were a label, each new reason would start a
new series.
"""

from ray.util import metrics

from autoscale.policies.base import UnitObservation
from autoscale.spec import Key

_KEYS = ("pipeline", "unit", "pool")


class ScalingMetrics:
    """The series for one unit in one pool."""

    def __init__(self, pipeline: str, key: Key, max_replicas: int, objective_ms: float) -> None:
        """Declare the series.

        The upper bound and the objective are set with every decision.
        """
        self._max_replicas, self._objective_ms = max_replicas, objective_ms
        tags = {"pipeline": pipeline, "unit": key.unit, "pool": key.pool}
        self._replicas = metrics.Gauge(
            "rankway_autoscaling_replicas",
            "Replicas: the target, the ready ones, and the maximum.",
            (*_KEYS, "of"),
        )
        self._rates = metrics.Gauge(
            "rankway_autoscaling_candidates_per_s",
            "Candidates per second on which the decision is based: arriving and served.",
            (*_KEYS, "of"),
        )
        self._objective = metrics.Gauge("rankway_autoscaling_objective_ms", "Latency objective (p99).", _KEYS)
        self._waiting = metrics.Gauge(
            "rankway_autoscaling_waiting_candidates", "Candidates in the queues.", _KEYS
        )
        self._shed = metrics.Gauge(
            "rankway_autoscaling_shed_requests_per_s", "Requests per second refused or degraded.", _KEYS
        )
        self._missed = metrics.Gauge(
            "rankway_autoscaling_missed_requests_per_s",
            "Requests per second answered after the objective, or shed for lack of time.",
            _KEYS,
        )
        self._age_s = metrics.Gauge(
            "rankway_autoscaling_metrics_age_s",
            "Age in seconds of the observation on which the decision is based.",
            _KEYS,
        )
        self._outcomes = metrics.Counter(
            "rankway_autoscaling_decisions_total", "Scaling decisions.", (*_KEYS, "outcome")
        )
        gauges = (self._replicas, self._rates, self._objective, self._waiting, self._shed, self._missed)
        for series in (*gauges, self._age_s, self._outcomes):
            series.set_default_tags(tags)

    def decided(self, before: int, after: int, observed: UnitObservation, age_s: float) -> None:
        """Record a decision.

        Args:
            before: the target before the decision.
            after: the target after the decision.
            observed: the observation that the decision used.
            age_s: the observation's age in seconds.
        """
        self._replicas.set(after, {"of": "target"})
        self._replicas.set(observed.ready, {"of": "ready"})
        self._replicas.set(self._max_replicas, {"of": "max"})
        self._objective.set(self._objective_ms)
        self._rates.set(observed.arriving_candidates_per_s, {"of": "arriving"})
        self._rates.set(observed.served_candidates_per_s, {"of": "served"})
        self._waiting.set(observed.waiting_candidates)
        self._shed.set(observed.shed_requests_per_s)
        self._missed.set(observed.missed_requests_per_s)
        self._age_s.set(age_s)
        outcome = "up" if after > before else "down" if after < before else "same"
        self._outcomes.inc(1, {"outcome": outcome})

    def failed(self) -> None:
        """Record that the policy raised an exception."""
        self._outcomes.inc(1, {"outcome": "error"})
