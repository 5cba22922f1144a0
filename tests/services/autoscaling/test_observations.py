"""Observations for policies, made from replica records."""

import math
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autoscale.spec import Key
from services.autoscaling.observations import observe, recorded
from services.telemetry.metrics import UnitMetrics

MAIN = Key("main", "local")


@dataclass(frozen=True)
class Point:
    timestamp: float
    value: float


@dataclass
class Seen:
    """The fields that are read from a Serve context."""

    current_num_replicas: int = 1
    target_num_replicas: int = 1
    total_num_requests: float = 0.0
    raw_metrics: dict[str, dict[Any, list[Point]]] = field(default_factory=dict)
    current_time: float = 100.0

    def tell(self, replica: str, at_s: float, stats: dict[str, float]) -> None:
        for name, value in stats.items():
            self.raw_metrics.setdefault(name, {}).setdefault(replica, []).append(Point(at_s, value))


def stats_of(arrived: int, waiting: int = 0, shed: int = 0, missed: int = 0) -> dict[str, float]:
    metrics = UnitMetrics("main", "test")
    metrics.arrived(arrived, 10 * arrived)
    metrics.shed(shed)
    metrics.missed(missed)
    metrics.batch_done(arrived - shed, 10 * (arrived - shed), {})
    return recorded(waiting, metrics)


def test_rates_are_over_the_window_and_summed_over_replicas() -> None:
    seen = Seen(current_num_replicas=2, target_num_replicas=3, total_num_requests=4.5)
    for second in range(21):
        seen.tell(
            "a", 80.0 + second, stats_of(arrived=100 * second, waiting=7, shed=second, missed=2 * second)
        )
        seen.tell("b", 79.5 + second, stats_of(arrived=5000 + 20 * second, waiting=3))
    observation = observe({MAIN: seen}, now_s=101.0, window_s=5.0)
    unit = observation.units[MAIN]
    assert (unit.ready, unit.target, unit.ongoing_requests) == (2, 3, 4.5)
    assert unit.arriving_requests_per_s == 120
    assert unit.arriving_candidates_per_s == 1200
    assert unit.served_candidates_per_s == 1190
    assert unit.shed_requests_per_s == 1
    assert unit.missed_requests_per_s == 2
    assert unit.waiting_candidates == 10
    assert observation.age_s == 1.0


def test_replica_that_starts_or_restarts_counts_from_its_first_sample() -> None:
    seen = Seen()
    for second in range(10):
        seen.tell("old", 90.0 + second, stats_of(arrived=1000 + 10 * second))
    seen.tell("new", 98.0, stats_of(arrived=4000))
    assert observe({MAIN: seen}, 100.0, 5.0).units[MAIN].arriving_requests_per_s == 10
    seen.tell("new", 99.0, stats_of(arrived=4030))
    assert observe({MAIN: seen}, 100.0, 5.0).units[MAIN].arriving_requests_per_s == 40
    del seen.raw_metrics["arrived_requests"]["old"]
    assert observe({MAIN: seen}, 100.0, 5.0).units[MAIN].arriving_requests_per_s == 30


def test_age_is_infinite_without_samples_and_zero_without_replicas() -> None:
    assert observe({MAIN: Seen()}, 100.0, 5.0).age_s == math.inf
    assert observe({MAIN: Seen(current_num_replicas=0)}, 100.0, 5.0).age_s == 0.0


def test_age_is_the_longest_time_for_which_a_deployment_sent_no_sample() -> None:
    fresh, stale = Seen(), Seen()
    fresh.tell("a", 99.0, stats_of(1))
    stale.tell("b", 40.0, stats_of(1))
    other = Key("scorer", "gpu")
    assert observe({MAIN: fresh, other: stale}, 100.0, 5.0).age_s == 60.0


@given(
    st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e9)), max_size=20),
    st.floats(0.1, 60.0),
    st.floats(0, 2e3),
)
def test_rates_are_finite_and_not_negative_for_any_samples(
    points: list[tuple[float, float]], window_s: float, now_s: float
) -> None:
    seen = Seen()
    series = [Point(*point) for point in sorted(points)]
    seen.raw_metrics = {name: {"a": series} for name in stats_of(1)}
    unit = observe({MAIN: seen}, now_s, window_s).units[MAIN]
    assert 0 <= unit.arriving_candidates_per_s < math.inf
    assert 0 <= unit.shed_requests_per_s < math.inf
