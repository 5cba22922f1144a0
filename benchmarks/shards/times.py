"""Times for benchmarks/sharding.py: one process and the shard groups' models take turns, round after round."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.cases.sharding_models import Case
from benchmarks.shards.sides import group_of_processes
from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.base import Runtime, group_of
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.kinds.torch import TorchConfig
from models.signature import Inputs

_SHORTEST_S = 0.05
_WARM_UPS = 5
_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Times:
    """Times per batch, in milliseconds, one for each round."""

    ms: list[float]

    @property
    def p50_ms(self) -> float:
        """The median."""
        return median(self.ms)

    def speedups(self, whole: "Times") -> list[float]:
        """Return how many times as fast as ``whole`` this is, in each round, in ascending order."""
        return sorted(one / own for own, one in zip(self.ms, whole.ms, strict=True))


def alternate(case: Case, ways: Mapping[str, Mapping[str, Any]], ranks: int, rounds: int) -> dict[str, Times]:
    """Return the times of one process, as "whole", and of each way to run the model over ranks.

    All models are loaded in the same processes, and run in turn. Ways that the model does not support are left out.
    """
    configs = {way: runtime_config(timeout_s=_LIMIT_S, shards=ranks, **each) for way, each in ways.items()}
    options = group_of(next(iter(configs.values())))
    assert options is not None
    with group_of_processes(options) as (group, _):
        runtimes: dict[str, Runtime] = {"whole": load_runtime(case.root, case.artifact, TorchConfig())}
        for way, config in configs.items():
            try:
                runtimes[way] = group.load(case.root, case.artifact, config)
            except RuntimeFailure:  # another row reports the reason
                continue
        inputs = case.inputs(case.shapes[0])
        calls = {name: _calls(runtime, inputs) for name, runtime in runtimes.items()}
        times: dict[str, list[float]] = {name: [] for name in runtimes}
        for _ in range(rounds):
            for name, runtime in runtimes.items():
                times[name].append(median(_ms(runtime, inputs) for _ in range(calls[name])))
        return {name: Times(each) for name, each in times.items()}


def _calls(runtime: Runtime, inputs: Inputs) -> int:
    """Warm up, and return the number of calls in each round.

    Short calls are repeated, because the first one wakes the other ranks.
    """
    fastest_ms = min(_ms(runtime, inputs) for _ in range(_WARM_UPS))
    return max(1, int(_SHORTEST_S * 1e3 / fastest_ms))


def _ms(runtime: Runtime, inputs: Inputs) -> float:
    started_s = time.perf_counter()
    runtime.run(inputs)
    return (time.perf_counter() - started_s) * 1e3
