"""A histogram exports the same series as Prometheus's own: cumulative buckets, sum and count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.telemetry.histogram import Histogram
from tests.services.ray_metrics import Exported, exported_metrics

NAME = "rankway_test_ms"


def histogram(boundaries: list[float]) -> Histogram:
    return Histogram(NAME, "For the test.", boundaries, labels={"unit": "main"}, more=("stage",))


@given(st.lists(st.floats(0.0, 100.0), max_size=50), st.lists(st.floats(0.0, 100.0), max_size=50))
def test_buckets_count_values_up_to_their_bound(first: list[float], second: list[float]) -> None:
    edges = [1.0, 5.0, 20.0]
    with exported_metrics() as exported:
        made = histogram(edges)
        for values in (first, second):
            made.observe(values, {"stage": "ranker"})
            made.export()
        everything = [*first, *second]
        expected = {str(edge): sum(value <= edge for value in everything) for edge in edges}
        assert exported.values(f"{NAME}_bucket", "le") == expected | {"+Inf": len(everything)}
        assert exported.value(f"{NAME}_count", stage="ranker", unit="main") == len(everything)
        assert exported.value(f"{NAME}_sum", stage="ranker") == pytest.approx(sum(everything))


def test_label_sets_have_separate_counts(exported: Exported) -> None:
    made = histogram([1.0])
    made.observe([0.5, 2.0], {"stage": "ranker"})
    made.observe([3.0], {"stage": "features"})
    made.export()
    assert exported.values(f"{NAME}_count", "stage") == {"ranker": 2, "features": 1}
    assert exported.value(f"{NAME}_bucket", stage="ranker", le="1.0", unit="main") == 1
