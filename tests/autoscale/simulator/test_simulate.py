"""Whole simulations: requests, replicas and nodes under load, scaling and failures."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from autoscale.errors import AutoscaleError, PolicyError, SpecError, TraceError
from autoscale.policies.base import Decision, Observation
from autoscale.pools import PoolConfig, SpotConfig
from autoscale.simulator.arrivals import Chunk, Rates
from autoscale.simulator.options import Failure, SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.simulate import simulate
from autoscale.spec import Fallback, Key, PipelineSpec
from tests.autoscale.simulator.specs import CPU, INGRESS, RANKER, Scheduled, one_unit, poisson, two_units

FALLBACK = Fallback("small", 1e-6)


def ended(simulation: Simulation) -> float:
    totals = simulation.requests
    return totals.in_time + totals.misses


@pytest.mark.parametrize("fallback", [None, FALLBACK])
@pytest.mark.parametrize("make", [one_unit, two_units])
def test_every_request_is_counted_once_despite_failures(make: Any, fallback: Fallback | None) -> None:
    spec = make(fallback=fallback)
    failures = (
        Failure(at_s=3.0, pool="cpu", unit="ranker"),
        Failure(at_s=6.0, pool="cpu"),
        Failure(at_s=9.0, pool="cpu", unit=spec.units[0].name),
    )
    trace = poisson(600, 20.0)
    simulation = simulate(spec, Scheduled({10.0: {RANKER: 1}}), trace, SimulationOptions(failures=failures))
    assert simulation.requests.arrived == len(trace[0][0]) == ended(simulation)
    assert simulation.requests.failed > 0
    assert simulation.timeline.arrived.sum() == simulation.requests.arrived
    assert simulation.timeline.misses.sum() == simulation.requests.misses
    assert len(simulation.incidents) == 3


def test_result_depends_on_the_seed_only() -> None:
    results = [
        json.dumps(
            simulate(two_units(), Scheduled(), poisson(800, 10.0), SimulationOptions(seed=seed)).to_json(),
            allow_nan=False,
        )
        for seed in (1, 1, 2)
    ]
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_result_does_not_depend_on_the_size_of_chunks() -> None:
    ((times_s, candidates),) = poisson(500, 10.0)
    cut: Iterator[Chunk] = ((times_s[i : i + 7], candidates[i : i + 7]) for i in range(0, len(times_s), 7))
    whole = simulate(one_unit(), Scheduled(), [(times_s, candidates)])
    assert simulate(one_unit(), Scheduled(), cut).to_json() == whole.to_json()


def test_requests_beyond_the_queue_limit_are_shed() -> None:
    simulation = simulate(one_unit(1, max_waiting=2000), Scheduled(), poisson(1000, 10.0))
    assert simulation.requests.shed > 0.1 * simulation.requests.arrived
    assert simulation.requests.degraded == 0


def test_fallback_answers_excess_requests_within_the_deadline() -> None:
    simulation = simulate(one_unit(1, fallback=FALLBACK), Scheduled(), poisson(1000, 10.0))
    assert simulation.requests.degraded > 0.1 * simulation.requests.arrived
    assert simulation.latency.p99_ms < 500


def test_new_replica_is_ready_after_its_start_up_and_the_start_of_a_new_node() -> None:
    options = SimulationOptions(bin_s=1.0)
    policy = Scheduled({5.0: {RANKER: 4}, 20.0: {RANKER: 5}})
    simulation = simulate(one_unit(3), policy, poisson(100, 70.0), options)
    ready = simulation.timeline.ready["ranker@cpu"]
    # A replica starts in 4 s. The fifth one does not fit the node, and a new node takes 30 s.
    assert [int(np.argmax(ready >= count)) + 1 for count in (4, 5)] == [9, 54]
    assert simulation.timeline.nodes["cpu"][[18, 20]].tolist() == [1, 2]
    assert simulation.cost == pytest.approx((70 + 50) / 3600)
    assert simulation.units["ranker@cpu"].started == 5


def test_removed_replicas_drain_and_an_empty_node_stays_for_a_while() -> None:
    policy = Scheduled({10.0: {RANKER: 1}})
    options = SimulationOptions(bin_s=1.0, idle_node_s=20.0)
    simulation = simulate(one_unit(5), policy, poisson(50, 100.0), options)
    assert simulation.timeline.ready["ranker@cpu"][8:12].tolist() == [5, 5, 1, 1]
    # An ingress drains for 30 s, then its empty node stays for 20 s.
    assert simulation.timeline.nodes["cpu"][[50, 62]].tolist() == [2, 1]
    assert simulation.requests.misses == 0


def test_ingress_drains_for_the_configured_time() -> None:
    def seconds(drain_s: float) -> float:
        options = SimulationOptions(bin_s=1.0, ingress_drain_s=drain_s)
        simulation = simulate(one_unit(5), Scheduled({10.0: {RANKER: 1}}), poisson(50, 100.0), options)
        return simulation.units["ranker@cpu"].replica_seconds

    assert seconds(30.0) - seconds(2.0) == pytest.approx(4 * 28, abs=2)


def test_requests_wait_for_the_first_replica() -> None:
    spec = one_unit(0, deadline_ms=60_000, max_waiting=10**6)
    simulation = simulate(spec, Scheduled({0.0: {RANKER: 2}}), poisson(10, 60.0))
    assert simulation.requests.late > 0
    assert simulation.requests.shed == simulation.requests.dropped == 0
    assert simulation.latency.p99_ms > 10_000  # 30 s for the node, and the start-up of the replica
    never = simulate(spec, Scheduled(), poisson(10, 60.0))
    assert never.requests.dropped == never.requests.arrived
    assert never.cost == 0


def test_lost_node_loses_its_requests_and_is_replaced() -> None:
    options = SimulationOptions(failures=(Failure(at_s=20.0, pool="cpu"),), bin_s=1.0)
    simulation = simulate(one_unit(4), Scheduled(), poisson(400, 80.0), options)
    assert simulation.requests.failed > 0
    assert simulation.units["ranker@cpu"].lost == 4
    assert simulation.timeline.ready["ranker@cpu"][[18, 21, 52, 54]].tolist() == [4, 0, 0, 4]


def test_spot_nodes_are_reclaimed_at_their_rate() -> None:
    spot = replace(
        one_unit(4), pools={"cpu": CPU.model_copy(update={"spot": SpotConfig(interruptions_per_hour=30)})}
    )
    trace = poisson(5, 3600.0)
    simulation = simulate(spot, Scheduled(), trace, SimulationOptions(seed=1))
    assert 15 <= simulation.pools["cpu"].lost <= 45
    assert simulate(spot, Scheduled(), trace, SimulationOptions(spot=False)).pools["cpu"].lost == 0


def test_lack_of_room_is_reported_once() -> None:
    full = replace(one_unit(2), pools={"cpu": CPU.model_copy(update={"max_nodes": 1})})
    simulation = simulate(full, Scheduled({5.0: {RANKER: 9}}), poisson(10, 60.0))
    assert [incident.what for incident in simulation.incidents] == [
        "no room for a replica of ranker@cpu: pool cpu already has its max_nodes, 1"
    ]
    assert simulation.timeline.ready["ranker@cpu"][-1] == 4


def test_policy_sees_the_load_of_the_cluster() -> None:
    policy = Scheduled()
    simulate(two_units(), policy, poisson(500, 60.0))
    now_s, seen = policy.seen[-1]
    assert now_s == 55.0
    assert seen.age_s == 1.0
    front, back = seen.units[INGRESS], seen.units[RANKER]
    assert front.arriving_requests_per_s == pytest.approx(500, rel=0.1)
    assert back.arriving_candidates_per_s == pytest.approx(100_000, rel=0.1)
    assert back.served_candidates_per_s == pytest.approx(100_000, rel=0.1)
    assert (front.ready, back.ready, back.target) == (2, 3, 3)
    # Little's law: 500 requests/s of a few milliseconds each. Behind the ingress, calls are counted, not requests.
    assert 0 < back.ongoing_requests <= front.ongoing_requests < 10


def test_decision_sees_the_metrics_of_the_previous_interval() -> None:
    policy = Scheduled()
    simulate(replace(one_unit(2), decision_interval_s=1.0), policy, poisson(500, 20.0))
    ages_s = {observation.age_s for _, observation in policy.seen}
    assert ages_s == {1.0}
    (_, first), (_, second), *_ = policy.seen
    assert first.units[RANKER].arriving_requests_per_s == 0, "no metrics were reported yet"
    assert second.units[RANKER].arriving_requests_per_s == pytest.approx(500, rel=0.2)


def test_cpu_overhead_of_requests_makes_batches_slower() -> None:
    def p50_ms(beside_ms: float, per_s: float) -> float:
        spec = one_unit(1, spread=1.0)
        unit = spec.units[0]
        profile = unit.placed[0].profile.model_copy(update={"overhead_cpu_ms": beside_ms})
        slower = replace(unit, placed=(replace(unit.placed[0], profile=profile),))
        return simulate(replace(spec, units=(slower,)), Scheduled(), poisson(per_s, 60.0)).latency.p50_ms

    assert p50_ms(3.0, 2.0) - p50_ms(0.0, 2.0) == pytest.approx(3.0, rel=0.05)
    assert p50_ms(3.0, 150.0) - p50_ms(0.0, 150.0) > 4.0


def test_weights_split_the_load_of_a_unit_over_its_pools() -> None:
    spec = one_unit(2)
    unit = spec.units[0]
    other = replace(unit.placed[0], pool="big")
    spec = replace(
        spec,
        units=(replace(unit, placed=(unit.placed[0], other)),),
        pools={**spec.pools, "big": PoolConfig(cpus=8, memory_gib=32)},
    )

    class Split(Scheduled):
        def decide(self, now_s: float, observation: Observation, state: None) -> Decision[None]:
            decision = super().decide(now_s, observation, state)
            return replace(decision, weights={"ranker": {"cpu": 1.0, "big": 3.0}})

    even = simulate(spec, Scheduled(), poisson(200, 30.0)).units
    split = simulate(spec, Split(), poisson(200, 30.0)).units
    assert even["ranker@big"].candidates == pytest.approx(even["ranker@cpu"].candidates, rel=0.01)
    assert split["ranker@big"].candidates > 2.2 * split["ranker@cpu"].candidates


def test_part_of_a_trace_has_only_its_own_requests_and_cost() -> None:
    options = SimulationOptions(start_s=20.0, end_s=40.0)
    simulation = simulate(one_unit(), Scheduled(), poisson(100, 60.0), options)
    assert (simulation.start_s, simulation.end_s) == (20.0, 40.0)
    assert simulation.requests.arrived == pytest.approx(2000, rel=0.1)
    assert simulation.cost == pytest.approx(20 / 3600)


@pytest.mark.parametrize("engine", ["events", "steps"])
@pytest.mark.parametrize(
    ("spec", "trace", "options", "message"),
    [
        (one_unit(), [], {}, "no requests"),
        (one_unit(), [(np.array([2.0, 1.0]), np.array([1, 1]))], {}, "sort the trace"),
        (one_unit(), [(np.array([-1.0]), np.array([1]))], {}, "got -1.0"),
        (one_unit(), [(np.array([float("nan")]), np.array([1]))], {}, "got nan"),
        (one_unit(), [(np.array([1.0, 1e12]), np.array([1, 1]))], {}, "at most 400 days"),
        (one_unit(), poisson(10, 5.0), {"start_s": 10.0}, "no requests from 10.0 s"),
        (replace(one_unit(), pools={}), poisson(10, 5.0), {}, "add it to pools"),
        (replace(one_unit(), units=()), poisson(10, 5.0), {}, "needs at least one unit"),
        (
            replace(one_unit(), p99_ms=float("nan")),
            poisson(10, 5.0),
            {},
            "p99_ms of one: must be a finite number above 0, got nan",
        ),
        (
            replace(one_unit(), decision_interval_s=0.01),
            poisson(10, 5.0),
            {},
            "at least the control loop's 0.1 s, got 0.01",
        ),
        (one_unit(), poisson(10, 5.0), {"failures": (Failure(at_s=1, pool="gpu"),)}, "unknown pool, got gpu"),
    ],
)
def test_error_of_invalid_simulation_names_the_field(
    engine: Any, spec: PipelineSpec, trace: list[Chunk], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AutoscaleError, match=message):
        simulate(spec, Scheduled(), trace, SimulationOptions(engine=engine, **options))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_replicas": 5, "max_replicas": 3}, "min 5 and max 3"),
        ({"cpus": 100}, "a replica needs 100 cpus, but a node in the pool has 4"),
        ({"gpus": 1}, "a replica needs 1 gpus, but a node in the pool has 0"),
        ({"profile": None}, "has no profile; create it with `rankway models bench"),
    ],
)
def test_rejects_unit_that_cannot_be_placed(change: dict[str, Any], message: str) -> None:
    spec = one_unit()
    unit = spec.units[0]
    spec = replace(spec, units=(replace(unit, placed=(replace(unit.placed[0], **change),)),))
    with pytest.raises(AutoscaleError, match=message):
        simulate(spec, Scheduled(), poisson(10, 5.0))


def test_rejects_invalid_decision() -> None:
    with pytest.raises(PolicyError, match="must be a whole number of 0 or more, got -1"):
        simulate(one_unit(), Scheduled({0.0: {RANKER: -1}}), poisson(10, 20.0))
    with pytest.raises(PolicyError, match="return a number for each"):
        simulate(one_unit(), Scheduled({0.0: {Key("other", "cpu"): 1}}), poisson(10, 20.0))


def test_rejects_start_that_is_not_before_the_end() -> None:
    with pytest.raises(ValidationError, match=r"must be before end_s 5\.0, got 5\.0"):
        SimulationOptions(start_s=5.0, end_s=5.0)


def test_rejects_rates_that_are_all_zero() -> None:
    nothing = Rates(0.0, 1.0, np.zeros(10), 200.0)
    for engine in ("events", "steps"):
        with pytest.raises(TraceError, match="nothing to simulate"):
            simulate(one_unit(), Scheduled(), nothing, SimulationOptions.model_validate({"engine": engine}))


def test_rejects_units_with_the_same_name() -> None:
    unit = one_unit().units[0]
    with pytest.raises(SpecError, match="units with different names"):
        simulate(replace(one_unit(), units=(unit, unit)), Scheduled(), poisson(10, 5.0))
