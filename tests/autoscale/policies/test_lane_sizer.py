"""The decision on one lane: replicas, reasons and a split for its own keys only."""

import pytest

from autoscale.policies.lane_sizer import LaneSizer
from autoscale.policies.lanes import LaneState, lanes_of
from autoscale.policies.signals.forecast import ForecastState
from autoscale.policies.signals.misses import MissState
from autoscale.policies.sized_config import SizedConfig
from tests.autoscale.policies.pipelines import CPU, GPU, INGRESS, POOLS, seen

BEFORE = LaneState(None, ForecastState(), {})
SEEN = {INGRESS: seen(2, 10_000), CPU: seen(1, 10_000), GPU: seen(0)}


@pytest.mark.parametrize("over_pools", [False, True])
def test_lane_decides_on_its_own_keys_and_splits_work_if_it_has_several(over_pools: bool) -> None:
    sizer = LaneSizer(SizedConfig(kind="slo"), POOLS, forecasts=None, saving=0.0)
    for lane in lanes_of(POOLS, over_pools=over_pools):
        decision = sizer.decide(0.0, lane, SEEN, BEFORE, MissState(), 0.0)
        assert tuple(decision.replicas) == tuple(decision.reasons) == lane.keys
        assert set(decision.weights) == ({"ranker"} if len(lane.keys) > 1 else set())
        assert decision.forecast is None


def test_load_from_the_ingress_counts_if_it_exceeds_the_arrivals() -> None:
    sizer = LaneSizer(SizedConfig(kind="slo"), POOLS, forecasts=None, saving=0.0)
    lane = lanes_of(POOLS, over_pools=False)[1]
    alone, coupled = (sizer.decide(0.0, lane, SEEN, BEFORE, MissState(), load) for load in (0.0, 1e6))
    assert alone.arriving_per_s == coupled.arriving_per_s == 10_000
    assert coupled.replicas[CPU] > alone.replicas[CPU]
    assert "are expected from main" in coupled.reasons[CPU]
