"""The rate that replicas sustain within a p99, simulated from batch times that are measured in this run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autoscale.policies.fixed import Fixed
from autoscale.profiles import Profile
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.simulate import simulate
from autoscale.spec import Key, PipelineSpec
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.growth.chart import Chart, Panel, Points
from benchmarks.harness.cells import Cell, Load, measure_cell
from benchmarks.harness.servers import service
from services.autoscaling.spec import lowered
from services.config.placement import placements
from services.paths import home_directory
from services.profiling.batches import UnitBatches, measure_batches

_XS = (1, 2, 3, 4, 6, 8, 12, 16)
_STEPS, _SIMULATED_S = 8, 10.0
RATE, LINEAR, PROXY = "simulated, p99 within the limit", "first point times replicas", "one core of HAProxy"
PER_REPLICA, MEASURED = "requests/s per replica", "measured, with client and HAProxy on the same 2 cores"
_LIVE, _CLIENTS = (1, 2), 32


def measure(xs: Sequence[int], settings: Mapping[str, Any]) -> Points:
    """Measure the batches of a replica and the CPU outside them, then simulate each number of replicas."""
    if not xs:
        return
    workload = WORKLOADS["walks-200"]
    live = {count: _live(workload, count, settings["seconds"]) for count in _LIVE if count in xs}
    cell = live.get(2) or _live(workload, 2, settings["seconds"])
    profile = _profile(workload, cell, settings["seconds"])
    alone = most_per_s(spec_with(workload, profile, 1), settings["p99_ms"])
    for count in xs:
        rate = most_per_s(spec_with(workload, profile, count), settings["p99_ms"])
        values = {RATE: rate, LINEAR: alone * count, PER_REPLICA: rate / count}
        values[PROXY] = 1e3 / cell.core_ms["haproxy"]
        yield count, values | ({MEASURED: live[count].load.rps} if count in live else {})


def _live(workload: Workload, replicas: int, seconds: float) -> Cell:
    """Measure the whole service on this machine at its closed-loop peak."""
    unit = workload.pipeline().model_dump(mode="json")["units"]["main"] | {"replicas": replicas}
    with workload.config_file({"units": {"main": unit}}) as path, service(path) as server:
        measure_cell(server, Load(clients=8), workload.bodies(), 2.0, 0.0)
        return measure_cell(server, Load(clients=_CLIENTS), workload.bodies(), seconds, 0.0)


def _profile(workload: Workload, cell: Cell, seconds: float) -> Profile:
    """Return the profile of one replica: its batches alone, and its CPU outside them in the live service."""
    config = workload.pipeline()
    placement = placements(config, config.ingress_unit)[0]
    batches = UnitBatches(config, home_directory(), placement.key.unit)
    try:
        most = config.units[placement.key.unit].batching.max_candidates
        timings = measure_batches(batches, most, seconds)
    finally:
        batches.close()
    by_size = sorted(
        (t.requests, t.mean_ms) for t in timings if t.candidates == t.requests * workload.candidates
    )
    in_batch_ms = float(
        np.interp(cell.batches.mean_requests, [size for size, _ in by_size], [ms for _, ms in by_size])
    )
    in_batch_ms /= cell.batches.mean_requests
    return Profile(
        unit=placement.key.unit,
        pool=placement.key.pool,
        machine="measured in this run",
        timings=tuple(timings),
        startup_s=5.0,
        memory_mib=200.0,
        overhead_ms=0.5,
        overhead_cpu_ms=max(0.0, cell.core_ms["replica"] - in_batch_ms),
    )


def spec_with(workload: Workload, profile: Profile, count: int) -> PipelineSpec:
    """Return the workload's pipeline with ``count`` replicas, on as many nodes as they need."""
    spec = lowered(workload.pipeline(), {Key(profile.unit, profile.pool): profile})
    [unit] = spec.units
    [placed] = unit.placed
    placed = replace(placed, initial_replicas=count, max_replicas=max(count, placed.max_replicas))
    pool = spec.pools[placed.pool].model_copy(update={"cpus": float(max(2, count)), "max_nodes": 1})
    unit = replace(unit, placed=(placed,), max_waiting_candidates=10**9)
    return replace(spec, units=(unit,), pools={placed.pool: pool}, fallback=None, deadline_ms=60_000.0)


def most_per_s(spec: PipelineSpec, p99_ms: float) -> float:
    """Return the highest rate of Poisson arrivals, in requests per second, with p99 within ``p99_ms``."""
    [unit] = spec.units
    [placed] = unit.placed
    fastest_ms = min(t.mean_ms / t.requests for t in placed.profile.timings)
    most = placed.initial_replicas * 1e3 / (fastest_ms + placed.profile.overhead_cpu_ms)
    low, high = 0.4 * most, 1.1 * most
    for _ in range(_STEPS):
        rate = (low + high) / 2
        low, high = (rate, high) if _p99_ms(spec, rate) <= p99_ms else (low, rate)
    return low


def _p99_ms(spec: PipelineSpec, rate: float) -> float:
    # A window of fixed length. In a fixed number of requests, many replicas would have no time to fall behind.
    count = int(rate * _SIMULATED_S)
    times_s = np.cumsum(np.random.default_rng(3).exponential(1 / rate, count))
    counts = np.full(count, spec.candidates_per_request, np.int32)
    return simulate(spec, Fixed(spec), [(times_s, counts)], SimulationOptions()).latency.p99_ms


CHART = Chart(
    name="replicas",
    title="walks-200 by replicas: SIMULATED, from batch times and CPU per request measured on 2 cores",
    x_label="replicas, each with a core of its own",
    xs=_XS,
    panels=(
        Panel("requests/s with p99 within 50 ms", (RATE, LINEAR, PROXY, MEASURED), bend_of=RATE),
        Panel("requests/s per replica", (PER_REPLICA,), scale="linear"),
    ),
    measure=measure,
    settings={"seconds": 4.0, "p99_ms": 50.0},
)
