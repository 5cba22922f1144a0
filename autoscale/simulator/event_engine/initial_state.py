"""An event engine's state before its first event."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from autoscale.capacity.service_time import ServiceTime, service_time
from autoscale.serving_rules import rescue_s
from autoscale.simulator.engine_base import Floats
from autoscale.simulator.event_engine.records import CLOCK, CONNECTIONS, DRAWS, EVENT, KEY, SIZES, UNIT
from autoscale.simulator.event_engine.state import (
    BUCKETS,
    LATENCY_S,
    EngineState,
    blank_replicas,
    blank_works,
)
from autoscale.spec import Key, PipelineSpec

_WORKS = 1 << 14
_REPLICAS = 64


def initial_state(spec: PipelineSpec, seed: int, draws: Mapping[Key, Floats]) -> EngineState:
    """Return the state without replicas. ``draws`` is as for ``EventEngine``."""
    keys = list(spec.keys())
    times = [service_time(spec.placed(key).profile) for key in keys]
    knots = max(len(time.candidates) for time in times)
    replicas = blank_replicas(_REPLICAS)
    state = EngineState(
        clock=_clock(spec, seed),
        units=np.zeros(len(spec.units), UNIT),
        keys=np.zeros(len(keys), KEY),
        replicas=replicas,
        works=blank_works(_WORKS),
        heap=np.zeros(_WORKS, EVENT),
        opened=np.zeros((len(keys), _REPLICAS), np.int32),
        rings=np.full((len(keys), CONNECTIONS + 1), -1, np.int32),
        knots=np.array([_longer(time, knots)[0] for time in times]),
        knot_s=np.array([_longer(time, knots)[1] for time in times]),
        request_s=np.array([time.per_request_s for time in times]),
        draws=np.array(
            [draws.get(key, _lognormal(time.sigma)) for key, time in zip(keys, times, strict=True)]
        ),
        expected_s=np.zeros((_REPLICAS, SIZES)),
        expected_at_s=np.zeros((_REPLICAS, SIZES)),
        stack=np.zeros(_WORKS, np.int32),
        wakes=np.zeros(_REPLICAS, np.int32),
        latencies=np.zeros(BUCKETS, np.int64),
        totals=np.zeros(LATENCY_S + 1),
    )
    for u, unit in enumerate(spec.units):
        first = next(i for i, key in enumerate(keys) if key.unit == unit.name)
        state.units[u] = (
            unit.max_candidates,
            unit.max_waiting_candidates,
            unit.max_calls_in_flight,
            first,
            len(unit.placed),
        )
        replicas["key"][u] = first  # the limbo holds work while no replica is open
        for k in range(first, first + len(unit.placed)):
            state.keys["unit"][k] = u
            state.keys["overhead_s"][k] = times[k].overhead_s
            state.keys["overhead_cpu_s"][k] = times[k].overhead_cpu_s
            state.keys["relief"][k] = times[k].relief
            state.keys["neighbours"][k] = times[k].neighbours
    return state


def _clock(spec: PipelineSpec, seed: int) -> Any:
    clock = np.zeros(1, CLOCK)
    deadline_s = spec.deadline_ms / 1e3
    clock["free_works"] = _WORKS
    clock["units"] = len(spec.units)
    clock["random"] = np.random.default_rng((seed, 3)).integers(1, 1 << 63, dtype=np.uint64)
    clock["deadline_s"], clock["objective_s"] = deadline_s, spec.p99_ms / 1e3
    if spec.fallback is not None:
        clock["promises"] = 1
        clock["rescue_s"] = rescue_s(deadline_s)
        clock["fallback_s"] = spec.fallback.seconds_per_candidate
    return clock


def _longer(time: ServiceTime, count: int) -> tuple[Floats, Floats]:
    """Return the batch time function with ``count`` knots. Additional knots continue the last slope."""
    candidates, seconds = list(time.candidates), list(time.seconds)
    slope = (seconds[-1] - seconds[-2]) / (candidates[-1] - candidates[-2])
    while len(candidates) < count:
        candidates.append(candidates[-1] + 1.0)
        seconds.append(seconds[-1] + slope)
    return np.array(candidates), np.array(seconds)


def _lognormal(sigma: float) -> Floats:
    """Return (DRAWS,) equally likely factors from a lognormal distribution with mean 1."""
    from scipy.special import ndtri

    if sigma <= 0:
        return np.ones(DRAWS)
    factors: Floats = np.exp(sigma * ndtri((np.arange(DRAWS) + 0.5) / DRAWS))
    scaled: Floats = factors / factors.mean()
    return scaled
