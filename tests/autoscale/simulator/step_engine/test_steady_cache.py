"""The steady-state cache does not change results, and pipelines with different queues share no states."""

from dataclasses import replace

import numpy as np

from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.simulate import simulate
from autoscale.simulator.step_engine.steady_cache import SteadyCache
from tests.autoscale.simulator.specs import one_unit
from tests.autoscale.simulator.step_engine.test_engine import PerReplica, waves

SAMPLE = np.array([200], np.int32)


def test_shared_states_do_not_change_results() -> None:
    options, known = SimulationOptions(engine="steps"), SteadyCache()
    first, second = (
        simulate(one_unit(3), PerReplica(ranker=per_s), waves(600, 0.2), options, None, known)
        for per_s in (120.0, 250.0)
    )
    alone = simulate(one_unit(3), PerReplica(ranker=250.0), waves(600, 0.2), options)
    assert second.cost == alone.cost
    assert second.requests == alone.requests
    assert second.latency == alone.latency
    assert first.cost > second.cost


def test_states_are_shared_despite_other_bounds_but_not_other_queues() -> None:
    known, spec = SteadyCache(), one_unit(3)
    states = known.get(spec, SAMPLE, 0)
    (unit,) = spec.units
    bounded = replace(unit, placed=(replace(unit.placed[0], min_replicas=2, initial_replicas=7),))
    assert known.get(replace(spec, units=(bounded,)), SAMPLE, 0) is states
    assert known.get(replace(spec, p99_ms=90.0), SAMPLE, 0) is not states
    assert known.get(one_unit(3, max_candidates=400), SAMPLE, 0) is not states
    assert known.get(spec, np.array([100], np.int32), 0) is not states
    assert known.get(spec, SAMPLE, 1) is not states
