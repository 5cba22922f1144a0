"""The backlog is distributed over units completely, and within earlier units' calls in flight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscale.simulator.step_engine.backlog import most_waiting, spread
from autoscale.spec import Fallback
from tests.autoscale.simulator.specs import one_unit, two_units

SPEC = two_units()


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0, 1e6), st.floats(1, 5000, allow_subnormal=False))
def test_backlog_is_distributed_completely(
    ingresses: int, rankers: int, backlog: float, candidates: float
) -> None:
    behind = spread(SPEC, {"ingress": ingresses, "ranker": rankers}, backlog, candidates)
    assert sum(here.requests for here in behind.values()) == pytest.approx(backlog)
    assert all(here.requests >= 0 for here in behind.values())
    assert behind["ingress"].ongoing == backlog
    in_flight = ingresses * SPEC.unit("ingress").max_calls_in_flight
    assert behind["ranker"].most_ongoing == in_flight
    assert behind["ranker"].ongoing <= in_flight + 1e-9


def test_backlog_is_bounded_by_the_deadline_the_fallback_and_the_queue() -> None:
    one = {"ranker": 2}
    assert most_waiting(one_unit(deadline_ms=500), one, 100.0, 200.0) == pytest.approx(50)
    assert most_waiting(one_unit(fallback=Fallback("small", 1e-6)), one, 100.0, 200.0) == pytest.approx(15)
    assert most_waiting(one_unit(max_waiting=400), one, 100.0, 200.0) == pytest.approx(4)
