"""The limit on calls in flight: formula, simulator and messages."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.advice import call_limited
from autoscale.capacity.request_capacity import request_capacities
from autoscale.capacity.sizing import Sizing
from autoscale.planner.planner import plan
from autoscale.planner.provisioning import PlanOptions
from autoscale.profiles import Profile, Timing
from autoscale.simulator.step_engine.steady_states import SteadyStates
from autoscale.spec import Key, PipelineSpec, PlacedUnit, UnitSpec
from tests.autoscale.policies.pipelines import CPU_POOL, profile

SIZE = 256  # a power of two, because sizes are rounded to a quarter of an octave
FRONT, BACK, FAST = Key("ingress", "cpu"), Key("ranker", "cpu"), Key("ranker", "fast")


def steady(unit: str, pool: str, batch_ms: float, overhead_ms: float = 0.0) -> Profile:
    """Return a profile in which every batch takes the same time."""
    timings = tuple(
        Timing(requests=n, candidates=SIZE * n, p50_ms=batch_ms, p99_ms=batch_ms, mean_ms=batch_ms, runs=9)
        for n in (1, 16)
    )
    return Profile(
        unit=unit,
        pool=pool,
        machine="a test's",
        timings=timings,
        startup_s=5.0,
        memory_mib=100.0,
        overhead_ms=overhead_ms,
    )


def two_units(calls: int, *, batch_ms: float = 1.0, away_ms: float = 48.0) -> PipelineSpec:
    """Return an ingress with 2 ms batches, and a ranker whose hop takes ``away_ms``, or a quarter in the fast pool."""
    front = PlacedUnit("cpu", steady("ingress", "cpu", 2.0), cpus=1)
    back = (
        PlacedUnit("cpu", steady("ranker", "cpu", batch_ms, away_ms), cpus=1),
        PlacedUnit("fast", steady("ranker", "fast", batch_ms, away_ms / 4), cpus=1),
    )
    units = (
        UnitSpec("ingress", (front,), 4 * SIZE, 65_536, calls),
        UnitSpec("ranker", back, 4 * SIZE, 65_536),
    )
    fast = CPU_POOL.model_copy(update={"price_per_hour": 8.0})
    return PipelineSpec("two", units, {"cpu": CPU_POOL, "fast": fast}, 500.0, 1000.0, None, SIZE)


def test_calls_in_flight_limit_a_replica() -> None:
    # 2 calls of 1,024 candidates. Each takes 2 ms in the ingress, 48 ms for the hop, and 4 + 1 ms in the ranker's queue
    # and batch.
    limited = Sizing(two_units(2)).capacity(FRONT, SIZE, {"cpu": 1.0})
    assert limited.calls is not None
    assert limited.calls.per_s == pytest.approx(2 * 1024 / 0.055, rel=0.03)
    assert limited.saturation_per_s == limited.calls.per_s
    assert limited.per_s == pytest.approx(0.98 * limited.calls.per_s)
    assert limited.own_per_s > 400_000


def test_faster_pools_allow_more_load() -> None:
    sizing = Sizing(two_units(2))
    slow, fast, both = (
        sizing.capacity(FRONT, SIZE, shares).per_s
        for shares in ({"cpu": 1.0}, {"fast": 1.0}, {"cpu": 1.0, "fast": 3.0})
    )
    assert slow < both < fast
    assert sizing.capacity(FRONT, SIZE).per_s == slow  # without a known split, the slower pool counts


def test_last_unit_has_no_call_limit() -> None:
    sizing = Sizing(two_units(1))
    assert sizing.capacity(BACK, SIZE).calls is None


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 64), st.floats(0.5, 20.0), st.floats(0.0, 200.0), st.sampled_from([1, 40, 256, 3000]))
def test_capacity_respects_its_calls_and_more_calls_never_reduce_it(
    calls: int, batch_ms: float, away_ms: float, size: int
) -> None:
    few, more = (
        Sizing(two_units(n, batch_ms=batch_ms, away_ms=away_ms)).capacity(FRONT, size)
        for n in (calls, calls + 1)
    )
    batch = max(4 * SIZE, 1.1 * size)
    assert few.per_s <= few.saturation_per_s <= calls * batch / max(1e-6, away_ms / 1e3 + batch_ms / 2e3)
    assert few.per_s <= more.per_s
    assert few.per_s <= few.own_per_s


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_simulated_ingress_serves_the_rate_that_its_calls_allow(calls: int) -> None:
    spec = two_units(calls)
    limit = Sizing(spec).capacity(FRONT, SIZE, {"cpu": 1.0}).saturation_per_s
    states = SteadyStates(spec, np.full(10, SIZE, np.int32), 0)
    shares = {FRONT: 1.0, BACK: 1.0, FAST: 0.0}
    done = states.saturation_per_s({FRONT: 1, BACK: 4, FAST: 0}, shares) * SIZE
    assert done == pytest.approx(limit, rel=0.1)


def test_warning_names_the_number_of_calls_that_is_enough() -> None:
    spec = two_units(2)
    (line,) = call_limited(spec, Sizing(spec))
    assert line.startswith("units.ingress.max_calls_in_flight: limits a replica of ingress@cpu to ")
    assert " of 501,760 candidates/s, because a call of " in line
    assert " ms at ranker@cpu), got 2; raise max_calls_in_flight to " in line
    enough = int(line.rpartition("raise max_calls_in_flight to ")[2])
    assert call_limited(two_units(enough), Sizing(two_units(enough))) == []
    assert len(call_limited(two_units(enough - 1), Sizing(two_units(enough - 1)))) == 1


def test_single_unit_gets_no_warning() -> None:
    alone = dataclasses.replace(two_units(1), units=two_units(1).units[1:])
    assert call_limited(alone, Sizing(alone)) == []


def test_plan_has_more_ingresses_if_calls_limit_them_and_says_so() -> None:
    options = PlanOptions(requests_per_day=1e9)
    few, many = (plan(two_units(calls), options, growth=()) for calls in (1, 64))
    assert few.sized.units["ingress@cpu"].replicas > 10 * many.sized.units["ingress@cpu"].replicas
    assert request_capacities(two_units(1))[FRONT].limited_by_calls
    assert "raise units.ingress.max_calls_in_flight" in few.bottleneck
    assert any("max_calls_in_flight" in note for note in few.notes)
    assert not any("max_calls_in_flight" in note for note in many.notes)


def test_time_of_a_call_includes_all_of_its_requests() -> None:
    # The ranker takes 20 us per candidate, so a call with 1,000 candidates takes 5 times as long as a call with 200.
    ahead = PlacedUnit("cpu", profile("ingress", "cpu", batch_ms=1, candidate_ms=0.001), cpus=1)
    behind = PlacedUnit("cpu", profile("ranker", "cpu", batch_ms=2, candidate_ms=0.02), cpus=1)
    spec = PipelineSpec(
        "two",
        (UnitSpec("ingress", (ahead,), 2048, 65_536, 1), UnitSpec("ranker", (behind,), 2048, 65_536)),
        {"cpu": CPU_POOL},
        500.0,
        1000.0,
        None,
        SIZE,
    )
    limit = Sizing(spec).capacity(FRONT, SIZE).calls
    assert limit is not None
    assert limit.response_s > 0.002 + 2048 * 0.02e-3
