"""The time of one autoscaling decision, with the samples that Serve's controller keeps for each replica."""

import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from autoscale.config import make_policy
from autoscale.spec import Key
from benchmarks.autoscaling.control import control_config
from benchmarks.autoscaling.waiting import waiting_profile
from benchmarks.growth.null_unit import COUNTS
from services.autoscaling.observations import observe
from services.autoscaling.spec import METRICS_INTERVAL_S, lowered

_LOOK_BACK_S = 30.0
_RUNS = 30
_MAIN = Key("main", "local")


@dataclass(frozen=True, slots=True)
class _Sample:
    timestamp: float
    value: float


@dataclass(frozen=True, slots=True)
class _Context:
    """The part of Serve's context that the policy reads, as it is with some replicas."""

    current_num_replicas: int
    target_num_replicas: int
    total_num_requests: float
    raw_metrics: dict[str, dict[int, list[_Sample]]]
    current_time: float


def policy_ms(replicas: int) -> float:
    """Return the median milliseconds of one decision about so many replicas under constant load."""
    assert replicas >= 1
    config = control_config({"kind": "slo", "down_window_s": 30}, 8000)
    spec = lowered(config, {_MAIN: waiting_profile(5.0)})
    assert config.autoscaling is not None
    policy: Any = make_policy(config.autoscaling, spec)
    state = policy.start()
    context, times_s = _context(replicas), []
    for run in range(_RUNS):
        started_s = time.perf_counter()
        now_s = context.current_time + run
        observation = observe({_MAIN: context}, now_s, spec.decision_interval_s)
        state = policy.decide(now_s, observation, state).state
        times_s.append(time.perf_counter() - started_s)
    return median(times_s) * 1e3


def _context(replicas: int) -> _Context:
    steps = int(_LOOK_BACK_S / METRICS_INTERVAL_S)
    samples = [_Sample(step * METRICS_INTERVAL_S, 10.0 * step) for step in range(steps)]
    metrics = {name: {number: list(samples) for number in range(replicas)} for name in COUNTS}
    return _Context(replicas, replicas, 2.0 * replicas, metrics, samples[-1].timestamp)
