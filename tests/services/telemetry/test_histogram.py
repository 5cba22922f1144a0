"""A histogram hands over what Prometheus keeps of one: cumulative buckets, their sum and count."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.telemetry.histogram import Histogram


class Gauge:
    """Keeps the last value a label set was given."""

    def __init__(self) -> None:
        self.values: dict[tuple[tuple[str, str], ...], float] = {}

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.values[tuple(sorted(tags.items()))] = value


def histogram(boundaries: list[float]) -> tuple[Histogram, dict[str, Gauge]]:
    made: Any = Histogram(
        "rankway_test_ms", "For the test.", boundaries, labels={"unit": "main"}, more=("stage",)
    )
    gauges = {name: Gauge() for name in ("bucket", "sum", "count")}
    for name, gauge in gauges.items():
        setattr(made, f"_{name}", gauge)
    return made, gauges


@given(st.lists(st.floats(0.0, 100.0), max_size=50), st.lists(st.floats(0.0, 100.0), max_size=50))
def test_buckets_count_what_lies_at_or_below_their_edge(first: list[float], second: list[float]) -> None:
    edges = [1.0, 5.0, 20.0]
    made, gauges = histogram(edges)
    for values in (first, second):
        made.observe(values, {"stage": "ranker"})
        made.export()
    everything = [*first, *second]
    for edge in edges:
        labels = (("le", str(edge)), ("stage", "ranker"), ("unit", "main"))
        assert gauges["bucket"].values[labels] == sum(value <= edge for value in everything)
    assert gauges["bucket"].values[("le", "+Inf"), ("stage", "ranker"), ("unit", "main")] == len(everything)
    assert gauges["count"].values[("stage", "ranker"), ("unit", "main")] == len(everything)
    assert gauges["sum"].values[("stage", "ranker"), ("unit", "main")] == pytest.approx(sum(everything))


def test_label_sets_are_kept_apart() -> None:
    made, gauges = histogram([1.0])
    made.observe([0.5, 2.0], {"stage": "ranker"})
    made.observe([3.0], {"stage": "features"})
    made.export()
    counts = {dict(labels)["stage"]: value for labels, value in gauges["count"].values.items()}
    assert counts == {"ranker": 2, "features": 1}
