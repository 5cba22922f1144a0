"""Specs and observations for policy tests."""

from autoscale.policies.base import Observation, UnitObservation
from autoscale.pools import PoolConfig
from autoscale.profiles import Profile, Timing
from autoscale.spec import Key, PipelineSpec, PlacedUnit, UnitSpec

INGRESS, CPU, GPU = Key("main", "cpu"), Key("ranker", "cpu"), Key("ranker", "gpu")
CPU_POOL = PoolConfig(cpus=16, memory_gib=64, price_per_hour=0.8, provisioning_s=60)
GPU_POOL = PoolConfig(
    cpus=16, gpus=4, memory_gib=128, gpu_memory_gib=24, price_per_hour=1, provisioning_s=120
)


def profile(
    unit: str,
    pool: str,
    *,
    batch_ms: float,
    candidate_ms: float,
    startup_s: float = 10.0,
    spread: float = 1.3,
) -> Profile:
    """Return a unit's profile: a batch takes ``batch_ms`` plus ``candidate_ms`` per candidate."""
    timings = []
    for candidates in (50, 100, 200, 400, 800, 1600, 3200):
        mean_ms = batch_ms + candidate_ms * candidates
        timings.append(
            Timing(
                requests=max(1, candidates // 200),
                candidates=candidates,
                p50_ms=mean_ms,
                p99_ms=mean_ms * spread,
                mean_ms=mean_ms,
                runs=200,
            )
        )
    return Profile(
        unit=unit,
        pool=pool,
        machine="imagined",
        timings=tuple(timings),
        startup_s=startup_s,
        memory_mib=500,
        overhead_ms=1.0,
    )


def unit(name: str, *placed: PlacedUnit, max_candidates: int = 2048) -> UnitSpec:
    """Return a unit with these placements. Its calls to the next unit do not limit it."""
    return UnitSpec(name, placed, max_candidates, 65_536, max_calls_in_flight=32)


ON_CPU = PlacedUnit("cpu", profile("ranker", "cpu", batch_ms=2, candidate_ms=0.02), cpus=1)
ON_GPU = PlacedUnit("gpu", profile("ranker", "gpu", batch_ms=3, candidate_ms=0.001), cpus=1, gpus=1)
AHEAD = PlacedUnit("cpu", profile("main", "cpu", batch_ms=1, candidate_ms=0.002), cpus=1)


def pipeline(*units: UnitSpec, p99_ms: float = 80.0) -> PipelineSpec:
    """Return a pipeline with these units."""
    return PipelineSpec("walks", units, {"cpu": CPU_POOL, "gpu": GPU_POOL}, p99_ms=p99_ms, deadline_ms=500)


ALONE = pipeline(unit("ranker", ON_CPU))
CHAIN = pipeline(unit("main", AHEAD), unit("ranker", ON_CPU))
POOLS = pipeline(unit("main", AHEAD), unit("ranker", ON_CPU, ON_GPU))


def seen(
    replicas: int,
    candidates_per_s: float = 0.0,
    *,
    ready: int | None = None,
    waiting: float = 0.0,
    candidates_per_request: float = 200.0,
    ongoing: float = 0.0,
) -> UnitObservation:
    """Return an observation in which the unit serves all arriving candidates."""
    return UnitObservation(
        ready=replicas if ready is None else ready,
        target=replicas,
        arriving_requests_per_s=candidates_per_s / candidates_per_request,
        arriving_candidates_per_s=candidates_per_s,
        served_candidates_per_s=candidates_per_s,
        waiting_candidates=waiting,
        ongoing_requests=ongoing,
    )


def observed(**units: UnitObservation) -> Observation:
    """Return an observation. The argument ``ranker_gpu`` stands for ``ranker@gpu``."""
    return Observation({Key(*name.split("_")): unit for name, unit in units.items()})
