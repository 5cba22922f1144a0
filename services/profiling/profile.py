"""Profile a pipeline's units on this machine.

Batches are timed in this process. All other costs are measured in a running service.
"""

import os
import platform
import socket
from collections.abc import Callable
from pathlib import Path

import psutil

from autoscale.capacity.service_time import service_time
from autoscale.profiles import Profile, Timing
from autoscale.traces.recorded_batches import RecordedBatches
from models.cpu_flags import cpu_fields
from services.config.pipeline import PipelineConfig
from services.config.placement import Placement, placements
from services.errors import ConfigError
from services.profiling.batches import UnitBatches, measure_batches
from services.profiling.contention import fit_contention
from services.profiling.in_service import DeploymentMeasurement, measure_served

_SECONDS_OF_BATCHES = 20.0
_SECONDS_OF_REQUESTS = 8.0


def profiles(
    config: PipelineConfig, home: Path, pool: str | None, say: Callable[[str], None]
) -> list[tuple[Placement, Profile]]:
    """Measure every unit in this machine's ``pool``. Two units take less than two minutes.

    ``pool`` may be None if every unit is in one pool. ``say`` is called with a text about the progress.

    Raises:
        ConfigError: a unit is in several pools, and ``pool`` is None.
        ServiceError, ModelError: the pipeline cannot be served.
    """
    placed_here = [
        chosen for name in config.units if (chosen := _placement_here(config, name, pool)) is not None
    ]
    measured: dict[str, tuple[list[Timing], float]] = {}
    for placement in placed_here:
        unit = placement.key.unit
        say(f"batches of {unit}")
        batches = UnitBatches(config, home, unit)
        most = config.units[unit].batching.max_candidates
        try:
            timings = measure_batches(batches, most, _SECONDS_OF_BATCHES)
            measured[unit] = timings, batches.fallback_us_per_candidate(most)
        finally:
            batches.close()
    say("the service")
    served = measure_served(_without_pools(config, placed_here), home, _SECONDS_OF_REQUESTS)
    return [(placement, _profile(config, placement, measured, served)) for placement in placed_here]


def _placement_here(config: PipelineConfig, unit: str, pool: str | None) -> Placement | None:
    placed = placements(config, unit)
    if len(placed) == 1:
        return placed[0]
    if pool is None:
        raise ConfigError(
            f"the unit is in several pools, got {', '.join(p.key.pool for p in placed)}; name this "
            f"machine's pool with --pool",
            field=f"units.{unit}.pools",
        )
    return next((placement for placement in placed if placement.key.pool == pool), None)


def _without_pools(config: PipelineConfig, placed_here: list[Placement]) -> PipelineConfig:
    """Return the pipeline with one replica for each unit, without pools, on its own port.

    If there is only one unit, it has its configured replica count, limited by this machine's cores. In production, this
    unit's replicas share a machine too.
    """
    data = config.model_dump(mode="json")
    data |= {"autoscaling": None, "log": None, "record": None, "response_cache": None}
    data["http"] = {"host": "127.0.0.1", "port": _free_port()}
    for placement in placed_here:
        data["units"][placement.key.unit] |= {"cpus": placement.cpus}
    for unit in data["units"].values():
        unit |= {"pools": {}, "replicas": 1}
    if len(data["units"]) == 1 and placed_here and placed_here[0].cpus:
        [unit] = data["units"].values()
        unit["replicas"] = max(
            1, min(placed_here[0].replicas, int((os.cpu_count() or 1) / placed_here[0].cpus))
        )
    return PipelineConfig.model_validate(data)


def _profile(
    config: PipelineConfig,
    placement: Placement,
    measured: dict[str, tuple[list[Timing], float]],
    served: dict[str, DeploymentMeasurement],
) -> Profile:
    unit = placement.key.unit
    timings, fallback_us = measured[unit]
    service = served[unit]
    single = next(t for t in timings if (t.requests, t.candidates) == (1, config.candidates.count))
    outside_ms = (
        service.outside_ms if unit == config.ingress_unit else max(0.0, service.ranker_ms - single.p50_ms)
    )
    base = Profile(
        unit=unit,
        pool=placement.key.pool,
        machine=f"measured on {_machine()}",
        timings=tuple(timings),
        startup_s=round(service.startup_s, 2),
        memory_mib=round(service.memory_mib, 1),
        overhead_ms=round(outside_ms, 3),
        fallback_us_per_candidate=round(fallback_us, 3),
    )
    profile = base if service.batches is None else _with_contention(base, service.batches)
    outside_batches_ms = (
        service.cpu_ms - single.mean_ms if service.outside_batches_ms is None else service.outside_batches_ms
    )
    return profile.model_copy(update={"overhead_cpu_ms": round(max(0.0, outside_batches_ms), 3)})


def _with_contention(base: Profile, batches: RecordedBatches) -> Profile:
    contention = fit_contention(batches, service_time(base))
    return base.model_copy(
        update={
            "served_ratio": contention.ratio,
            "contention": contention.contention,
            "neighbours": contention.neighbours,
            "served_sigma": contention.sigma,
        }
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _machine() -> str:
    cpu = cpu_fields().get("model name") or platform.processor() or platform.machine()
    return f"{cpu}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"
