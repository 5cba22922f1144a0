"""One stretch of open-loop load on a service, and its simulations from the profile and at the measured pace."""

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autoscale.policies.fixed import Fixed
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.simulate import simulate
from autoscale.spec import PipelineSpec
from benchmarks.harness.answers import read_batches
from benchmarks.harness.connections import health_request, http_request
from benchmarks.harness.load import run_open
from benchmarks.harness.meters.processes import core_seconds_by_role, machine_busy_s
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.servers import Server

_WARM_S = 2.0
_SEEDS = 3
_PACINGS = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """One uninterrupted part of a cell's time.

    Attributes:
        good: answers with status 200.
        sent: requests, including missed requests and errors.
        live_batch_ms: a batch's mean time in the stages.
        live_batch_requests: mean requests per batch.
        late_p99_ms: p99 of the sending delay. Latencies include the delay.
        cores: mean busy cores by role. ``foreign`` stands for processes other than service and client. If it is above
            0.1, the stretch was disturbed.
        pace: the measured batch time relative to the profile's. The profile was taken some minutes earlier, and on a
            shared machine batch times change by up to a tenth in that time.
        paced_p50_ms: p50 simulated with all batch times multiplied by ``pace``. A remaining difference from the live
            p50 is the simulator's error.
        paced_p99_ms: p99 in that simulation.
    """

    good: int
    sent: int
    live_p50_ms: float
    live_p99_ms: float
    live_batch_ms: float
    live_batch_requests: float
    late_p99_ms: float
    cores: dict[str, float]
    simulated_p50_ms: float
    simulated_p99_ms: float
    simulated_batch_ms: float
    simulated_batch_requests: float
    pace: float
    paced_p50_ms: float
    paced_p99_ms: float


def measure_stretch(server: Server, spec: PipelineSpec, rate: float, seconds: float, seed: int) -> Stretch:
    """Load the service with Poisson arrivals at ``rate`` requests per second, then simulate the same arrivals."""
    bodies = [b'{"user_id": "u-%06d", "k": 10}' % user for user in range(97)]
    requests = [http_request("127.0.0.1", "/v1/rank", body) for body in bodies]
    prime = health_request("127.0.0.1")
    run_open("127.0.0.1", server.port, OpenLoop(requests, rate, _WARM_S, prime=prime))
    times_s = _poisson(rate, seconds, seed)
    loop = OpenLoop(requests, rate, seconds, times_s=times_s.tolist(), prime=prime)
    before, busy_s, started_s = server.meter.read(), machine_busy_s(), time.perf_counter()
    client_s = time.process_time()
    result = run_open("127.0.0.1", server.port, loop)
    client_s = time.process_time() - client_s
    used_s = core_seconds_by_role(before, server.meter.read()) | {"client": client_s}
    busy_s, wall_s = machine_busy_s() - busy_s, time.perf_counter() - started_s
    used_s["foreign"] = max(0.0, busy_s - sum(used_s.values()))
    batches = read_batches(loop.answers)
    live_ms, live_requests = sum(batches.stage_ms.values()), batches.mean_requests
    simulated = _Simulated.from_arrivals(spec, times_s)
    pace, paced = 1.0, simulated
    for _ in range(_PACINGS):  # other batch times lead to other batch sizes, so repeat
        pace *= live_ms / live_requests / (paced.batch_ms / paced.batch_requests)
        paced = _Simulated.from_arrivals(at_pace(spec, pace), times_s)
    return Stretch(
        good=result.statuses.get("200", 0),
        sent=result.requests + result.missed + result.errors,
        live_p50_ms=result.p50_ms,
        live_p99_ms=result.p99_ms,
        live_batch_ms=live_ms,
        live_batch_requests=live_requests,
        late_p99_ms=result.send_lag_p99_ms,
        cores={role: round(spent_s / wall_s, 3) for role, spent_s in used_s.items()},
        simulated_p50_ms=simulated.p50_ms,
        simulated_p99_ms=simulated.p99_ms,
        simulated_batch_ms=simulated.batch_ms,
        simulated_batch_requests=simulated.batch_requests,
        pace=pace,
        paced_p50_ms=paced.p50_ms,
        paced_p99_ms=paced.p99_ms,
    )


def _poisson(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    times_s = np.cumsum(random.exponential(1 / rate, int(rate * seconds * 1.2) + 100))
    return times_s[times_s < seconds]


@dataclass(frozen=True, slots=True)
class _Simulated:
    """A simulation with the same requests: the run with the median p99 over several seeds."""

    p50_ms: float
    p99_ms: float
    batch_ms: float
    batch_requests: float

    @classmethod
    def from_arrivals(cls, spec: PipelineSpec, times_s: NDArray[np.float64]) -> "_Simulated":
        """Simulate the arrivals with several seeds, and take the run with the median p99."""
        counts = np.full(len(times_s), spec.candidates_per_request, np.int32)
        runs = [
            simulate(spec, Fixed(spec), [(times_s, counts)], SimulationOptions(seed=seed))
            for seed in range(_SEEDS)
        ]
        p99s_ms = [run.latency.p99_ms for run in runs]
        run = runs[int(np.argsort(p99s_ms)[_SEEDS // 2])]
        unit = next(iter(run.units.values()))
        overhead_ms = spec.units[0].placed[0].profile.overhead_cpu_ms * len(times_s)
        return cls(
            p50_ms=run.latency.p50_ms,
            p99_ms=run.latency.p99_ms,
            batch_ms=(unit.busy_seconds * 1e3 - overhead_ms) / unit.batches,
            batch_requests=len(times_s) / unit.batches,
        )


def at_pace(spec: PipelineSpec, pace: float) -> PipelineSpec:
    """Return the one-unit pipeline with batches that take `pace` times as long."""
    [unit] = spec.units
    [placed] = unit.placed
    slower = {"served_ratio": placed.profile.served_ratio * pace}
    profile = placed.profile.model_copy(update=slower)
    return replace(spec, units=(replace(unit, placed=(replace(placed, profile=profile),)),))
