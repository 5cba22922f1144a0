"""Accuracy: the DLRM at fixed replicas and loads, live, and simulated on the same arrivals from its profile.

The profile is taken before, in a process of its own, by ``rankway models bench``; nothing is fitted to the cells. A
request scores 512 candidates instead of 32, so that of two cores the model takes nearly all, and not HAProxy and the
client, which real clusters have elsewhere.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import yaml
from numpy.typing import NDArray

from autoscale.policies.fixed import Fixed
from autoscale.service_time import service_time
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.simulate import simulate
from autoscale.spec import PipelineSpec
from benchmarks.answers import read_batches
from benchmarks.connections import http_request
from benchmarks.load import run_open
from benchmarks.open_loop import OpenLoop
from benchmarks.processes import core_seconds_by_role, machine_busy_s
from benchmarks.servers import Server, service
from services.config import PipelineConfig, load_config, validated
from services.lowering import spec_of

_CONFIG = Path(__file__).resolve().parents[2] / "configs" / "dlrm.yaml"
_CANDIDATES, _REQUESTS_A_BATCH = 512, 4
_LOADS = (0.5, 0.7, 0.85)
_WARM_S = 2.0
_STRETCHES = 4
_SEEDS = 3
_PACINGS = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a cell's time, sent by itself.

    late_p99_ms: how late requests were sent, which counts in their latencies. batch_ms, batch_requests: the mean of
    batches in the stages, and of the requests in one. pace: by what factor batches took longer than the profile, which
    is of some minutes before, has it: on a shared machine the same batch takes a tenth more or less by then. paced:
    simulated once more with the profile's batches longer by that; what differs still is the simulator's own.
    cores: what was busy meanwhile, by role; ``foreign`` is what belongs to neither service nor client: above 0.1 it
    was disturbed.
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


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of replicas at one load: a share of the most that their profile says they can do.

    Its stretches take turns with those of the other loads; of them all figures are the medians.
    """

    replicas: int
    load: float
    rate: float
    stretches: tuple[Stretch, ...]

    def median(self, name: str) -> float:
        """Give it of a figure of the stretches."""
        return float(median(getattr(stretch, name) for stretch in self.stretches))

    @property
    def difference(self) -> float:
        """Of p99, as a share of the live one."""
        return self.median("simulated_p99_ms") / self.median("live_p99_ms") - 1

    @property
    def paced_difference(self) -> float:
        """Of p99 at the cell's own pace, as a share of the live one."""
        return self.median("paced_p99_ms") / self.median("live_p99_ms") - 1


def profile_path(home: Path, replicas: int) -> Path:
    """Give where the check's own profile is kept: of a replica beside as many as there will be."""
    return home / _profile(replicas)


def _profile(replicas: int) -> str:
    return f"profiles/dlrm-accuracy-{replicas}.json"


def take_profile(home: Path, replicas: int) -> None:
    """Measure the pipeline as its operators would; leaves ``profile_path``.

    Raises:
        subprocess.CalledProcessError: it could not be measured; what was said stands on standard error.
    """
    with _written(accuracy_config(replicas)) as path:
        command = [sys.executable, "-m", "cli.main", "models", "bench", str(path)]
        folder = str(profile_path(home, replicas).parent)
        subprocess.run([*command, "--out", folder], check=True, stdout=sys.stderr, timeout=600)


def run_accuracy(
    home: Path, replicas: Sequence[int], seconds: float, say: Callable[[str], None]
) -> list[Cell]:
    """Measure and simulate every cell, each for so many seconds in all."""
    return [cell for count in replicas for cell in _cells(home, count, seconds, say)]


def accuracy_config(replicas: int) -> PipelineConfig:
    """Give the DLRM's pipeline with larger requests, batches of as many as before in the end, and its own profile."""
    data = load_config(_CONFIG).model_dump(mode="json")
    data["candidates"]["count"] = _CANDIDATES
    data["requests"]["default_deadline_ms"] = 5000
    data["units"]["main"] |= {
        "replicas": replicas,
        "batching": {"max_candidates": _CANDIDATES * _REQUESTS_A_BATCH},
        "profile": _profile(replicas),
    }
    return validated(data, "accuracy")


@contextmanager
def _written(config: PipelineConfig) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rankway-live-") as folder:
        path = Path(folder) / "dlrm.yaml"
        path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        yield path


def _cells(home: Path, replicas: int, seconds: float, say: Callable[[str], None]) -> list[Cell]:
    config = accuracy_config(replicas)
    spec = spec_of(config, home)
    rates = {load: load * replicas * most_per_s(spec) for load in _LOADS}
    stretches: dict[float, list[Stretch]] = {load: [] for load in _LOADS}
    with _written(config) as path, service(path) as server:
        for number in range(_STRETCHES):
            for load, rate in rates.items():
                seed = 1000 * replicas + 100 * number + round(100 * load)
                stretch = _stretch(server, spec, rate, seconds / _STRETCHES, seed)
                stretches[load].append(stretch)
                say(
                    f"{replicas} replicas at {load:.0%}, {rate:.0f} requests a second: p99 "
                    f"{stretch.live_p99_ms:.1f} ms live, {stretch.simulated_p99_ms:.1f} simulated, "
                    f"{stretch.paced_p99_ms:.1f} with batches {stretch.pace:.2f} times as long, as they were"
                )
    return [Cell(replicas, load, rates[load], tuple(stretches[load])) for load in _LOADS]


def most_per_s(spec: PipelineSpec) -> float:
    """Give the requests a second that a replica of the first unit can do, by its profile."""
    unit = spec.units[0]
    count = spec.candidates_per_request
    requests = max(1, unit.max_candidates // count)
    return requests / float(service_time(unit.placed[0].profile).busy_s(requests, requests * count))


def _stretch(server: Server, spec: PipelineSpec, rate: float, seconds: float, seed: int) -> Stretch:
    bodies = [b'{"user_id": "u-%06d", "k": 10}' % user for user in range(97)]
    requests = [http_request("127.0.0.1", "/v1/rank", body) for body in bodies]
    run_open("127.0.0.1", server.port, OpenLoop(requests, rate, _WARM_S))
    times_s = _poisson(rate, seconds, seed)
    loop = OpenLoop(requests, rate, seconds, times_s=times_s.tolist())
    before, busy_s, started_s = server.meter.read(), machine_busy_s(), time.perf_counter()
    client_s = time.process_time()
    result = run_open("127.0.0.1", server.port, loop)
    client_s = time.process_time() - client_s
    used_s = core_seconds_by_role(before, server.meter.read()) | {"client": client_s}
    busy_s, wall_s = machine_busy_s() - busy_s, time.perf_counter() - started_s
    used_s["foreign"] = max(0.0, busy_s - sum(used_s.values()))
    batches = read_batches(loop.answers)
    live_ms, live_requests = sum(batches.stage_ms.values()), batches.mean_requests
    simulated = _Simulated.of(spec, times_s)
    pace, paced = 1.0, simulated
    for _ in range(_PACINGS):  # other times make other batches
        pace *= live_ms / live_requests / (paced.batch_ms / paced.batch_requests)
        paced = _Simulated.of(at_pace(spec, pace), times_s)
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
    """The same requests, simulated with several seeds: of the one whose p99 is the median."""

    p50_ms: float
    p99_ms: float
    batch_ms: float
    batch_requests: float

    @classmethod
    def of(cls, spec: PipelineSpec, times_s: NDArray[np.float64]) -> "_Simulated":
        """Simulate."""
        counts = np.full(len(times_s), spec.candidates_per_request, np.int32)
        runs = [
            simulate(spec, Fixed(spec), [(times_s, counts)], SimulationOptions(seed=seed))
            for seed in range(_SEEDS)
        ]
        p99s_ms = [run.latency.p99_ms for run in runs]
        run = runs[int(np.argsort(p99s_ms)[_SEEDS // 2])]
        unit = next(iter(run.units.values()))
        beside_ms = spec.units[0].placed[0].profile.overhead_cpu_ms * len(times_s)
        return cls(
            p50_ms=run.latency.p50_ms,
            p99_ms=run.latency.p99_ms,
            batch_ms=(unit.busy_seconds * 1e3 - beside_ms) / unit.batches,
            batch_requests=len(times_s) / unit.batches,
        )


def at_pace(spec: PipelineSpec, pace: float) -> PipelineSpec:
    """Give the pipeline of one unit with batches that take so many times as long."""
    [unit] = spec.units
    [placed] = unit.placed
    slower = {"served_ratio": placed.profile.served_ratio * pace}
    profile = placed.profile.model_copy(update=slower)
    return replace(spec, units=(replace(unit, placed=(replace(placed, profile=profile),)),))
