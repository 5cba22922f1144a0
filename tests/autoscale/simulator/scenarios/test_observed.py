"""Observations in a simulation, in both engines: shed requests and requests that missed the objective."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from autoscale.config import AutoscalingConfig, make_policy
from autoscale.policies.base import UnitObservation
from autoscale.simulator.arrivals import Rates
from autoscale.simulator.options import Failure, SimulationOptions
from autoscale.simulator.simulate import simulate
from autoscale.spec import Fallback, Key, PipelineSpec
from tests.autoscale.simulator.specs import INGRESS, RANKER, Scheduled, placed, two_units

ENGINES: list[Literal["events", "steps"]] = ["events", "steps"]
SMALL = Fallback("small", 1e-6)


def even(per_s: float, seconds: float = 120.0) -> Rates:
    """Return a load that does not change."""
    return Rates(0.0, 5.0, np.full(round(seconds / 5), per_s), 200.0)


def seen_at_last(
    spec: PipelineSpec, rates: Rates, engine: Literal["events", "steps"]
) -> dict[Key, UnitObservation]:
    policy = Scheduled()
    simulate(spec, policy, rates, SimulationOptions(engine=engine))
    return dict(policy.seen[-2][1].units)


@pytest.mark.parametrize("engine", ENGINES)
def test_overload_of_the_ranker_is_shed_at_the_ingress_and_counts_as_missed(
    engine: Literal["events", "steps"],
) -> None:
    # One ranker serves about 400 requests/s.
    units = seen_at_last(two_units(1, 1, fallback=SMALL), even(800), engine)
    front, back = units[INGRESS], units[RANKER]
    assert front.arriving_requests_per_s == pytest.approx(800, rel=0.1)
    assert back.arriving_requests_per_s < 0.8 * front.arriving_requests_per_s
    assert front.shed_requests_per_s > 0.25 * front.arriving_requests_per_s
    reached = back.arriving_requests_per_s + front.shed_requests_per_s
    assert reached == pytest.approx(front.arriving_requests_per_s, rel=0.2)
    assert front.missed_requests_per_s >= front.shed_requests_per_s
    assert front.missed_requests_per_s <= 1.01 * front.arriving_requests_per_s


@pytest.mark.parametrize("engine", ENGINES)
def test_without_overload_all_requests_reach_the_ranker_and_none_is_missed(
    engine: Literal["events", "steps"],
) -> None:
    units = seen_at_last(two_units(1, 3, fallback=SMALL), even(300), engine)
    assert units[RANKER].arriving_requests_per_s == pytest.approx(300, rel=0.15)
    assert units[INGRESS].shed_requests_per_s == units[INGRESS].missed_requests_per_s == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_answer_after_the_objective_counts_as_missed(engine: Literal["events", "steps"]) -> None:
    tight = replace(two_units(1, 3), p99_ms=3.0)  # the ranker alone takes 4 ms
    units = seen_at_last(tight, even(100), engine)
    assert units[INGRESS].missed_requests_per_s == pytest.approx(100, rel=0.25)
    assert units[INGRESS].shed_requests_per_s == 0


COUPLED = AutoscalingConfig.model_validate(
    {
        "policy": {"kind": "coupled", "forecast": None},
        "p99_ms": 80,
        "bounds": {"ranker": {"max_replicas": 40}},
    }
)


def slower(spec: PipelineSpec, times: float) -> PipelineSpec:
    """Return the pipeline with a ranker that is slower by the factor ``times``."""
    units = (
        spec.units[0],
        replace(
            spec.units[1], placed=(placed("ranker", 1, at_once_ms=2 * times, candidate_ms=0.01 * times),)
        ),
    )
    return COUPLED.applied_to(replace(spec, units=units))


@pytest.mark.parametrize("engine", ENGINES)
def test_misses_compensate_for_a_profile_that_is_too_fast(engine: Literal["events", "steps"]) -> None:
    # The policy's profile is 1.6 times as fast as the simulated ranker.
    spec = two_units(1, 1, fallback=SMALL)
    policy = make_policy(COUPLED, spec)
    rates = even(900, 900)
    simulation = simulate(slower(spec, 1.6), policy, rates, SimulationOptions(engine=engine))
    bins = simulation.timeline
    assert bins.misses[-5:].sum() <= 0.01 * bins.arrived[-5:].sum()
    assert any("added because " in record.reasons["ranker@cpu"] for record in simulation.decisions)
    assert bins.target["ranker@cpu"].max() <= 12
    unaware = AutoscalingConfig.model_validate(
        {"policy": {"kind": "coupled", "forecast": None, "max_added": 0}, "p99_ms": 80}
    )
    without = simulate(slower(spec, 1.6), make_policy(unaware, spec), rates, SimulationOptions(engine=engine))
    assert without.timeline.misses[-5:].sum() > 0.02 * without.timeline.arrived[-5:].sum()


def test_outage_of_the_ranker_does_not_scale_up() -> None:
    spec = COUPLED.applied_to(two_units(1, 4, fallback=SMALL))
    failures = tuple(
        Failure(at_s=float(at_s), pool="cpu", unit="ranker", count=40) for at_s in range(300, 900, 2)
    )
    simulation = simulate(
        spec,
        make_policy(COUPLED, spec),
        even(700, 1200),
        SimulationOptions(engine="events", failures=failures),
    )
    targets = simulation.timeline.target["ranker@cpu"]
    assert simulation.requests.degraded > 0.3 * simulation.requests.arrived
    assert targets.max() <= targets[4] + 2
    assert targets[-1] >= targets[4]
