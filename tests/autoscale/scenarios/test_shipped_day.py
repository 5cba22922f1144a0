"""configs/cluster.yaml on whole days: nearly no request misses the objective, and the cost has not increased."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from autoscale.advice import call_limited, sizing_of
from autoscale.config import AutoscalingConfig
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.run import run
from autoscale.simulator.step_engine.steady_cache import SteadyCache
from autoscale.spec import PipelineSpec
from autoscale.traces.bins import Bins
from autoscale.traces.files import open_trace
from autoscale.traces.trace import BinnedTrace
from services.autoscaling.spec import spec_of
from services.config.loading import load_config

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs" / "cluster.yaml"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
COST_BEFORE = 254.29
"""Cost of billion-day.csv before limits on calls in flight were modelled and forecasts were bounded."""
SPIKE_S = (17 * 3600, 17 * 3600 + 600)


def smooth_day() -> BinnedTrace:
    """Return 1.07e9 requests without noise: peaks at lunch and in the evening, and five times the load at 17:00."""
    minutes = np.arange(1440)
    hours = minutes / 60
    lunch, evening = (np.exp(-(((hours - at) / wide) ** 2) / 2) for at, wide in ((12.5, 1.3), (19.5, 2.0)))
    shape = 6400 + 20_000 * lunch + 12_800 * evening
    spike = (60 * minutes >= SPIKE_S[0]) & (60 * minutes < SPIKE_S[1])
    shape[spike] *= 5
    requests = np.rint(shape * 1.07e9 / shape.sum())
    return BinnedTrace(
        "smooth", Bins(0.0, 60.0, requests, np.full(1440, 200.0), np.zeros(1440), np.zeros(1440))
    )


def shipped() -> tuple[AutoscalingConfig, PipelineSpec]:
    config = load_config(CONFIG)
    assert config.autoscaling is not None
    return config.autoscaling, spec_of(config, ROOT)


def misses(simulation: Simulation) -> float:
    return simulation.requests.misses / simulation.requests.arrived


@pytest.fixture(scope="module")
def days() -> dict[str, Simulation]:
    """Both days under the shipped policy, with shared steady states."""
    (scaling, spec), known = shipped(), SteadyCache()
    options = SimulationOptions(engine="steps", decisions="changes")
    traces = {"billion": open_trace(ROOT / "configs" / "traces" / "billion-day.csv"), "smooth": smooth_day()}
    return {name: run(spec, scaling, trace, options, known=known) for name, trace in traces.items()}


def test_billion_request_day_is_answered_in_time_at_no_higher_cost(
    days: dict[str, Simulation],
) -> None:
    assert misses(days["billion"]) <= 0.001
    assert days["billion"].cost <= 1.05 * COST_BEFORE


def test_smooth_day_with_a_spike_is_answered_in_time(days: dict[str, Simulation]) -> None:
    smooth = days["smooth"]
    assert misses(smooth) <= 0.01
    minutes = np.arange(len(smooth.timeline.arrived))
    calm = (minutes < SPIKE_S[0] / 60) | (minutes >= SPIKE_S[1] / 60)
    assert smooth.timeline.misses[calm].sum() <= 0.001 * smooth.timeline.arrived[calm].sum()


def test_spike_gets_enough_rankers_and_at_most_a_few_more(days: dict[str, Simulation]) -> None:
    asked = max(record.replicas["ranker@cpu"] for record in days["smooth"].decisions)
    # 65,736 requests/s at the end of the spike, and a replica serves 107.
    assert 600 <= asked < 750


def test_more_ingresses_make_up_for_few_calls_in_flight() -> None:
    scaling, spec = shipped()
    few = dataclasses.replace(
        spec, units=(dataclasses.replace(spec.units[0], max_calls_in_flight=2), *spec.units[1:])
    )
    assert call_limited(spec, sizing_of(scaling, spec)) == []
    (line,) = call_limited(few, sizing_of(scaling, few))
    assert line.startswith("units.ingress.max_calls_in_flight: ")
    options = SimulationOptions(engine="steps", decisions="changes", start_s=57_600, end_s=60_000)
    simulation = run(few, scaling, smooth_day(), options)
    # The day starts with the replicas from the YAML, which do not fit the load.
    assert simulation.timeline.misses[10:].sum() <= 0.001 * simulation.timeline.arrived[10:].sum()
    assert "limited by 2 calls in flight to ranker" in simulation.decisions[-1].reasons["ingress@cpu"]
