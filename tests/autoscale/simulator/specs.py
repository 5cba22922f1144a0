"""Small pipelines, policies and arrivals that the simulator's tests share."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from autoscale.policies.base import Decision, Observation
from autoscale.pools import PoolConfig
from autoscale.profiles import Profile, Timing
from autoscale.simulator.arrivals import Chunk
from autoscale.spec import Fallback, Key, PipelineSpec, PlacedUnit, UnitSpec

INGRESS, RANKER = Key("ingress", "cpu"), Key("ranker", "cpu")
CPU = PoolConfig(cpus=4, memory_gib=16, price_per_hour=1.0, provisioning_s=30)


def profile(
    unit: str, *, at_once_ms: float, candidate_ms: float, spread: float = 1.3, startup_s: float = 4.0
) -> Profile:
    """Return a profile in which a batch takes ``at_once_ms`` plus ``candidate_ms`` for each candidate."""
    times = {size: at_once_ms + candidate_ms * size for size in (1, 200, 800)}
    return Profile(
        unit=unit,
        pool="cpu",
        machine="none",
        timings=tuple(
            Timing(requests=1, candidates=size, p50_ms=ms, p99_ms=ms * spread, mean_ms=ms, runs=100)
            for size, ms in times.items()
        ),
        startup_s=startup_s,
        memory_mib=500,
    )


def placed(
    unit: str, replicas: int, *, at_once_ms: float, candidate_ms: float, spread: float = 1.3
) -> PlacedUnit:
    measured = profile(unit, at_once_ms=at_once_ms, candidate_ms=candidate_ms, spread=spread)
    return PlacedUnit("cpu", measured, cpus=1, initial_replicas=replicas)


def one_unit(
    replicas: int = 2,
    *,
    fallback: Fallback | None = None,
    max_candidates: int = 800,
    max_waiting: int = 65_536,
    deadline_ms: float = 500.0,
    at_once_ms: float = 2.0,
    candidate_ms: float = 0.01,
    spread: float = 1.3,
) -> PipelineSpec:
    """Return a pipeline with one unit. A batch takes 4 ms for 200 candidates, and 10 ms for 800, the maximum."""
    unit = placed("ranker", replicas, at_once_ms=at_once_ms, candidate_ms=candidate_ms, spread=spread)
    return PipelineSpec(
        "one",
        (UnitSpec("ranker", (unit,), max_candidates, max_waiting),),
        {"cpu": CPU},
        p99_ms=80,
        deadline_ms=deadline_ms,
        fallback=fallback,
    )


def two_units(ingresses: int = 2, rankers: int = 3, *, fallback: Fallback | None = None) -> PipelineSpec:
    """Return an ingress, whose batches take 0.5 ms, and a ranker."""
    spec = one_unit(rankers, fallback=fallback)
    front = UnitSpec(
        "ingress", (placed("ingress", ingresses, at_once_ms=0.5, candidate_ms=0.0001),), 800, 65_536, 4
    )
    return replace(spec, name="two", units=(front, *spec.units))


class Scheduled:
    """A policy that sets replicas by a schedule. Keys without an entry stay as they are."""

    def __init__(self, schedule: Mapping[float, Mapping[Key, int]] | None = None) -> None:
        self._schedule = dict(schedule or {})
        self.seen: list[tuple[float, Observation]] = []

    def start(self) -> None:
        return None

    def decide(self, now_s: float, observation: Observation, state: None) -> Decision[None]:
        self.seen.append((now_s, observation))
        replicas = {key: unit.target for key, unit in observation.units.items()}
        for at_s in sorted(self._schedule):
            if at_s <= now_s:
                replicas |= self._schedule[at_s]
        return Decision(replicas, dict.fromkeys(replicas, "as scheduled"), None)


def poisson(per_s: float, until_s: float, *, candidates: int = 200, seed: int = 0) -> list[Chunk]:
    random = np.random.default_rng(seed)
    times_s = np.sort(random.random(random.poisson(per_s * until_s)) * until_s)
    return [(times_s, np.full(len(times_s), candidates, np.int32))]
