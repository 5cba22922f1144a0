"""The claim's arithmetic: equal cost and equal violations are read off two fronts."""

import dataclasses

import numpy as np
import pytest

from autoscale.config import AutoscalingConfig
from autoscale.simulator.results import Simulation
from autoscale.traces import BinnedTrace, Bins
from autoscale.trials import simulated
from benchmarks.autoscale_claim import Judged, compared, pipeline
from tests.autoscale.test_planner import ONE

CONFIG = AutoscalingConfig.model_validate({"p99_ms": 100.0, "policy": {"kind": "target_ongoing"}})


@pytest.fixture(name="simulation", scope="module")
def _simulation() -> Simulation:
    trace = BinnedTrace("flat", Bins.of(0.0, 10.0, np.full(6, 100.0), 100.0))
    return simulated(ONE, CONFIG, trace, None, 0)


def judged(simulation: Simulation, *points: tuple[float, float]) -> Judged:
    return [
        (
            CONFIG,
            dataclasses.replace(
                simulation,
                cost=cost,
                requests=dataclasses.replace(
                    simulation.requests,
                    arrived=1e6,
                    late=1e6 * misses,
                    degraded=0,
                    shed=0,
                    dropped=0,
                    failed=0,
                ),
            ),
        )
        for cost, misses in points
    ]


def test_fronts_are_compared_at_equal_cost_and_at_equal_violations(simulation: Simulation) -> None:
    ours = judged(simulation, (60.0, 0.005), (80.0, 0.0005))
    serves = judged(simulation, (50.0, 0.02), (100.0, 0.008))
    found = compared(ours, serves)
    by_allowed = {row["allowed"]: row for row in found["cost_at_equal_violations"]}
    assert by_allowed[0.01] == {"allowed": 0.01, "ours": 60.0, "serves": 100.0, "saved": pytest.approx(0.4)}
    assert by_allowed[0.001]["serves"] is None
    cheap, dear = found["violations_at_equal_cost"]
    assert (cheap["cost"], cheap["ours"]) == (50.0, None)
    assert dear["ours"] == pytest.approx(0.0005)


def test_the_pipeline_has_one_pool() -> None:
    assert {str(key) for key in pipeline().keys()} == {"ingress@cpu", "ranker@cpu"}
