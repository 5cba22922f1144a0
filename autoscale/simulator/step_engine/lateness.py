"""How waiting affects answers in the step engine: they become later, or come from the fallback."""

import numpy as np

from autoscale.simulator.engine_base import Floats
from autoscale.simulator.event_engine.state import (
    BUCKETS,
    DEGRADED,
    IN_TIME,
    LATENCY_S,
    LEAST_S,
    PER_E,
    SHED,
    TOO_LATE,
)
from autoscale.simulator.step_engine.backlog import WAITS
from autoscale.spec import PipelineSpec

_UPPER_S = LEAST_S * np.exp((np.arange(BUCKETS) + 1) / PER_E)
_MIDDLES_S = _UPPER_S * np.exp(-0.5 / PER_E)


def delayed(spec: PipelineSpec, answers: Floats, outcomes: Floats, waited_s: float) -> Floats:
    """Return the latency histogram after a delay, with no answer after the deadline, and update ``outcomes``.

    A request that could not be answered in time is not started, because batches take only requests that have enough
    time left. If an answer would be after the deadline, it counts at the deadline, and the fallback gives it if there
    is a fallback.

    Args:
        spec: the pipeline.
        answers: (BUCKETS,) the latency histogram without the delay.
        outcomes: totals by outcome. They are changed in place.
        waited_s: the delay.
    """
    buckets = np.log((_UPPER_S + waited_s) / LEAST_S) * PER_E
    moved = np.zeros(BUCKETS)
    np.add.at(moved, np.minimum(buckets.astype(np.int64), BUCKETS - 1), answers)
    last, objective = (int(np.searchsorted(_UPPER_S, ms / 1e3)) for ms in (spec.deadline_ms, spec.p99_ms))
    whole = outcomes[IN_TIME] + outcomes[TOO_LATE]
    over = min(whole, float(moved[last + 1 :].sum()))
    moved[last + 1 :] = 0.0
    moved[last] += over
    if spec.fallback is not None:
        outcomes[DEGRADED] += over
        whole -= over
    in_time = min(whole, float(moved[:objective].sum()))
    outcomes[IN_TIME], outcomes[TOO_LATE] = in_time, whole - in_time
    outcomes[LATENCY_S] = float((moved * _MIDDLES_S).sum())
    return moved


def refused(spec: PipelineSpec, excess: float, totals: Floats, latencies: Floats) -> None:
    """Count ``excess`` requests that do not fit the queue. They are shed, or answered by the fallback.

    The engine's ``totals`` and ``latencies`` are changed in place.
    """
    if not excess:
        return
    if spec.fallback is None:
        totals[SHED] += excess
        return
    waits_s = spec.deadline_ms / 1e3 * WAITS
    totals[DEGRADED] += excess
    totals[LATENCY_S] += excess * waits_s
    latencies[int(np.log(waits_s / LEAST_S) * PER_E)] += excess
