"""The event engine against queueing theory. Seeds are fixed, and bounds are four standard errors of batch means."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import poisson as poisson_distribution

from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.simulator.event_engine.engine import EventEngine
from autoscale.simulator.event_engine.records import DRAWS
from autoscale.simulator.event_engine.state import IN_TIME, LATENCY_S, TOO_LATE
from autoscale.simulator.trace_feed import Feed
from autoscale.spec import PipelineSpec, UnitSpec
from tests.autoscale.simulator.specs import RANKER, one_unit, placed, poisson

_EXPONENTIAL = -np.log1p(-(np.arange(DRAWS) + 0.5) / DRAWS)


def mean_latencies(
    spec: PipelineSpec, per_s: float, until_s: float, draws: NDArray[np.float64], parts: int = 20
) -> tuple[float, float]:
    """Return the mean time in the system and its standard error, without the first part."""
    engine = EventEngine(
        spec, Feed(poisson(per_s, until_s, candidates=1, seed=7), 0.0, None), 3, {RANKER: draws}
    )
    keys = [key for key in spec.keys() for _ in range(spec.placed(key).initial_replicas)]
    for number, key in enumerate(keys):
        engine.apply(NodeChange("opened", Replica(number, key)))
    before, means = engine.totals(), []
    for part in range(parts):
        engine.advance(until_s * (part + 1) / parts)
        passed, before = engine.totals() - before, engine.totals()
        means.append(passed[LATENCY_S] / passed[IN_TIME:LATENCY_S].sum())
    return float(np.mean(means[1:])), float(np.std(means[1:]) / math.sqrt(parts - 1))


def single_server(at_once_ms: float, max_candidates: int, replicas: int = 1) -> PipelineSpec:
    return one_unit(
        replicas,
        at_once_ms=at_once_ms,
        candidate_ms=0.0,
        max_candidates=max_candidates,
        deadline_ms=60_000,
        max_waiting=10**9,
        spread=1.0,
    )


def erlang_c(servers: int, load: float) -> float:
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_exponential_server_matches_m_m_1(load: float) -> None:
    mean_s, error_s = mean_latencies(
        single_server(10.0, 1), 100 * load, 4000.0, _EXPONENTIAL / _EXPONENTIAL.mean()
    )
    assert mean_s == pytest.approx(0.01 / (1 - load), abs=4 * error_s)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_deterministic_server_matches_m_d_1(load: float) -> None:
    mean_s, error_s = mean_latencies(single_server(10.0, 1), 100 * load, 4000.0, np.ones(DRAWS))
    assert mean_s == pytest.approx(0.01 * (1 + load / (2 * (1 - load))), abs=4 * error_s)


def test_calls_in_flight_match_servers_of_m_m_c() -> None:
    servers, load = 4, 3.2
    front = replace(placed("ingress", 1, at_once_ms=1e-6, candidate_ms=0.0), cpus=0.01)
    # There are so many rankers that two calls never meet at one. Calls wait only because of the ingress's limit.
    back = replace(placed("ranker", 1000, at_once_ms=10.0, candidate_ms=0.0, spread=1.0), cpus=0.01)
    spec = replace(
        single_server(10.0, 1),
        units=(
            UnitSpec("ingress", (front,), 1, 10**9, servers),
            UnitSpec("ranker", (back,), 1, 10**9),
        ),
    )
    mean_s, error_s = mean_latencies(spec, 100 * load, 2000.0, _EXPONENTIAL / _EXPONENTIAL.mean())
    expected_s = 0.01 + erlang_c(servers, load) * 0.01 / (servers - load)
    assert mean_s == pytest.approx(expected_s, abs=4 * error_s)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_batches_match_a_bulk_service_queue(load: float) -> None:
    # Serving k requests takes 2 + k ms, with k at most 8. The queue lengths after each batch are a Markov chain.
    service_s = (2.0 + np.arange(9)) / 1000
    per_s, states = load * 8 / service_s[8], 200
    spec = one_unit(
        1,
        at_once_ms=2.0,
        candidate_ms=1.0,
        max_candidates=8,
        deadline_ms=60_000,
        max_waiting=10**9,
        spread=1.0,
    )
    chain, present = np.zeros((states, states)), np.zeros(states)
    time_s = np.zeros(states)
    for left in range(states):
        batch, behind = min(max(left, 1), 8), max(left - 8, 0)
        comes = poisson_distribution.pmf(np.arange(states), per_s * service_s[batch])
        chain[left, behind:] = comes[: states - behind]
        chain[left, -1] += 1 - chain[left].sum()
        # Requests times seconds until the batch ends, and the seconds until then.
        present[left] = (batch + behind) * service_s[batch] + per_s * service_s[batch] ** 2 / 2
        time_s[left] = service_s[batch] + (1 / per_s if left == 0 else 0.0)
    chances = np.linalg.matrix_power(chain, 4096)[0]
    expected_s = (chances @ present) / (chances @ time_s) / per_s
    mean_s, error_s = mean_latencies(spec, per_s, 300.0, np.ones(DRAWS))
    assert mean_s == pytest.approx(expected_s, abs=4 * error_s)


def test_batch_is_slower_while_other_replicas_run_batches() -> None:
    """A single request at a time finds the other replica idle. Under full load the other replica is never idle."""
    spec = single_server(10.0, 1, replicas=2)
    [unit] = spec.units
    contended = unit.placed[0].profile.model_copy(update={"contention": 0.25, "neighbours": 1})
    spec = replace(spec, units=(replace(unit, placed=(replace(unit.placed[0], profile=contended),)),))
    alone_s, _ = mean_latencies(spec, 0.5, 4000.0, np.ones(DRAWS))
    assert alone_s == pytest.approx(0.010, rel=0.002)
    one_s, _ = mean_latencies(replace_replicas(spec, 1), 0.5, 4000.0, np.ones(DRAWS))
    assert one_s == pytest.approx(0.010, rel=0.002)
    engine = EventEngine(spec, Feed(poisson(1000.0, 20.0, candidates=1, seed=7), 0.0, None), 3)
    for number in range(2):
        engine.apply(NodeChange("opened", Replica(number, RANKER)))
    engine.advance(20.0)
    answered = engine.totals()[[IN_TIME, TOO_LATE]].sum()
    assert answered == pytest.approx(2 * 20.0 / 0.0125, rel=0.01)


def replace_replicas(spec: PipelineSpec, count: int) -> PipelineSpec:
    [unit] = spec.units
    return replace(spec, units=(replace(unit, placed=(replace(unit.placed[0], initial_replicas=count),)),))
