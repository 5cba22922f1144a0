"""The step engine against the event engine: cost within 5%, p99 within 10%."""

import math
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pytest

from autoscale.policies.base import Decision, Observation
from autoscale.policies.target_ongoing import TargetOngoing, TargetOngoingConfig
from autoscale.simulator.arrivals import Rates
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.simulate import simulate
from autoscale.spec import Fallback, PipelineSpec
from tests.autoscale.simulator.specs import CPU, RANKER, Scheduled, one_unit, poisson, two_units

Wanted: TypeAlias = dict[str, tuple[int, ...]]


class PerReplica:
    """A policy for the last minute's busiest interval, with fixed requests/s per replica."""

    def __init__(self, **per_s: float) -> None:
        self._per_s = per_s

    def start(self) -> Wanted:
        return {}

    def decide(self, now_s: float, observation: Observation, state: Wanted) -> Decision[Wanted]:
        wanted = {
            str(key): (
                *state.get(str(key), ())[-11:],
                max(1, math.ceil(seen.arriving_requests_per_s / self._per_s[key.unit])),
            )
            for key, seen in observation.units.items()
        }
        replicas = {key: max(wanted[str(key)]) for key in observation.units}
        return Decision(replicas, {key: f"{key} {n}" for key, n in replicas.items()}, wanted)


def waves(mean_per_s: float, hours: float = 1.0) -> Rates:
    times_s = np.arange(0, hours * 3600, 5.0)
    return Rates(0.0, 5.0, mean_per_s * (1 + 0.6 * np.sin(2 * np.pi * times_s / 1200)), 200.0)


def both(spec: PipelineSpec, rates: Rates, **per_s: float) -> tuple[Simulation, Simulation]:
    events, steps = (
        simulate(spec, PerReplica(**per_s), rates, SimulationOptions.model_validate({"engine": engine}))
        for engine in ("events", "steps")
    )
    return events, steps


@pytest.mark.parametrize(
    ("spec", "per_s"),
    [
        (one_unit(3), {"ranker": 120.0}),
        (one_unit(3), {"ranker": 250.0}),
        (two_units(1, 3), {"ingress": 600.0, "ranker": 200.0}),
        (two_units(1, 3, fallback=Fallback("small", 1e-6)), {"ingress": 600.0, "ranker": 200.0}),
    ],
)
def test_the_engines_agree_on_waves(spec: PipelineSpec, per_s: dict[str, float]) -> None:
    events, steps = both(spec, waves(600), **per_s)
    assert steps.cost == pytest.approx(events.cost, rel=0.05)
    assert steps.latency.p99_ms == pytest.approx(events.latency.p99_ms, rel=0.1)
    assert steps.latency.p50_ms == pytest.approx(events.latency.p50_ms, rel=0.1)
    for key, unit in events.units.items():
        assert steps.units[key].replica_seconds == pytest.approx(unit.replica_seconds, rel=0.05)
        assert steps.units[key].busy_seconds == pytest.approx(unit.busy_seconds, rel=0.1)


def test_the_engines_agree_on_a_trace_of_requests() -> None:
    trace = poisson(500, 600.0)
    events, steps = (
        simulate(one_unit(2), Scheduled(), trace, SimulationOptions.model_validate({"engine": engine}))
        for engine in ("events", "steps")
    )
    assert steps.requests.arrived == pytest.approx(events.requests.arrived)
    assert steps.cost == pytest.approx(events.cost)
    assert steps.latency.p99_ms == pytest.approx(events.latency.p99_ms, rel=0.1)


def test_the_engines_agree_on_mean_costs_of_a_policy_that_amplifies_randomness() -> None:
    # Serve's defaults scale down to one replica between two waves, and up to a hundred after a backlog of a few
    # seconds. The cost of a single run is therefore random, and the test compares means over seeds.
    config = TargetOngoingConfig(kind="target_ongoing")
    costs = [
        [
            simulate(
                one_unit(4),
                TargetOngoing(config, one_unit(4)),
                waves(800, 2 / 3),
                SimulationOptions.model_validate({"engine": engine, "seed": seed, "decisions": "changes"}),
            ).cost
            for seed in range(6)
        ]
        for engine in ("events", "steps")
    ]
    events, steps = (np.mean(each) for each in costs)
    error = math.hypot(*(np.std(each, ddof=1) / math.sqrt(len(each)) for each in costs))
    assert abs(steps - events) <= 0.05 * events + 3 * error


def test_step_engine_answers_nothing_after_the_deadline() -> None:
    slow = one_unit(1, at_once_ms=2.0, candidate_ms=0.05, deadline_ms=300)
    simulation = simulate(slow, Scheduled(), waves(150, 0.1), SimulationOptions(engine="steps"))
    assert simulation.requests.misses > 0
    assert simulation.latency.p99_ms <= 303


def test_a_backlog_delays_later_requests_in_both_engines() -> None:
    # For half a minute the load is twice one replica's capacity, until the second replica is ready.
    rates = Rates(0.0, 5.0, np.where((np.arange(60) >= 12) & (np.arange(60) < 18), 150.0, 60.0), 200.0)
    slow = one_unit(1, at_once_ms=2.0, candidate_ms=0.05, deadline_ms=60_000)
    events, steps = both(replace(slow, p99_ms=500), rates, ranker=90.0)
    assert steps.requests.late == pytest.approx(events.requests.late, rel=0.35)
    assert steps.latency.p99_ms == pytest.approx(events.latency.p99_ms, rel=0.35)


def test_step_engine_counts_every_request_and_sheds_excess_requests() -> None:
    simulation = simulate(one_unit(1), Scheduled(), waves(1000, 0.1), SimulationOptions(engine="steps"))
    totals = simulation.requests
    assert totals.in_time + totals.misses == pytest.approx(totals.arrived)
    assert totals.shed > 0


def test_step_engine_scales_from_zero_and_to_zero() -> None:
    policy = Scheduled({30.0: {RANKER: 1}, 200.0: {RANKER: 0}})
    simulation = simulate(one_unit(0), policy, waves(20, 0.1), SimulationOptions(engine="steps"))
    totals = simulation.requests
    assert totals.in_time + totals.misses == pytest.approx(totals.arrived)
    assert totals.late > 0
    assert totals.dropped > 0
    assert simulation.timeline.ready["ranker@cpu"].max() == 1


def test_step_engine_simulates_a_day_of_a_billion_requests() -> None:
    big = replace(one_unit(60), pools={"cpu": CPU.model_copy(update={"cpus": 16, "max_nodes": 100})})
    times_s = np.arange(0, 86_400, 60.0)
    rates = Rates(0.0, 60.0, 1e9 / 86_400 * (1 + 0.6 * np.sin(2 * np.pi * times_s / 86_400)), 200.0)
    simulation = simulate(
        big, PerReplica(ranker=250.0), rates, SimulationOptions(engine="steps", decisions="changes")
    )
    assert simulation.requests.arrived == pytest.approx(1e9, rel=0.01)
    assert simulation.requests.misses < 1e6
    assert simulation.end_s == 86_400
