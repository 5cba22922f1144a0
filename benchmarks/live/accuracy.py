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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from autoscale.policies.fixed import Fixed
from autoscale.service_time import service_time
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.simulate import simulate
from autoscale.spec import PipelineSpec
from benchmarks.answers import read_batches
from benchmarks.connections import http_request
from benchmarks.load import run_open
from benchmarks.open_loop import OpenLoop
from benchmarks.processes import core_seconds_by_role, machine_busy_s
from benchmarks.results import Answered
from benchmarks.servers import Server, service
from services.config import PipelineConfig, load_config, validated
from services.lowering import spec_of

_CONFIG = Path(__file__).resolve().parents[2] / "configs" / "dlrm.yaml"
_CANDIDATES, _REQUESTS_A_BATCH = 512, 4
_LOADS = (0.5, 0.7, 0.85)
_WARM_S = 2.0
_STRETCHES = 3
_SEEDS = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of replicas at one load: a share of the most that their profile says they can do.

    live_p99_by_stretch_ms: of each third of the time; simulated_p99_by_seed_ms: where the times of batches are drawn
    anew. client_late_p99_ms: how late requests were sent, which counts in their latencies. cores: what was busy
    meanwhile, by role; ``foreign`` is what belongs to neither service nor client: above 0.1 the cell is disturbed.
    batch_ms, batch_requests: the mean of batches in the stages, and of the requests in one.
    """

    replicas: int
    load: float
    rate: float
    seconds: float
    live_p50_ms: float
    live_p99_ms: float
    live_p99_by_stretch_ms: tuple[float, ...]
    live_good: int
    live_sent: int
    live_batch_ms: float
    live_batch_requests: float
    client_late_p99_ms: float
    cores: dict[str, float]
    simulated_p50_ms: float
    simulated_p99_ms: float
    simulated_p99_by_seed_ms: tuple[float, ...]
    simulated_batch_ms: float
    simulated_batch_requests: float

    @property
    def difference(self) -> float:
        """Of p99, as a share of the live one."""
        return self.simulated_p99_ms / self.live_p99_ms - 1


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
    """Measure and simulate every cell."""
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


def _cells(home: Path, replicas: int, seconds: float, say: Callable[[str], None]) -> Iterator[Cell]:
    config = accuracy_config(replicas)
    spec = spec_of(config, home)
    with _written(config) as path, service(path) as server:
        for load in _LOADS:
            rate = load * replicas * most_per_s(spec)
            say(f"{replicas} replicas at {load:.0%}: {rate:.0f} requests a second for {seconds:.0f} s")
            cell = _cell(server, spec, replicas, load, rate, seconds)
            say(f"p99 {cell.live_p99_ms:.1f} ms live, {cell.simulated_p99_ms:.1f} simulated")
            yield cell


def most_per_s(spec: PipelineSpec) -> float:
    """Give the requests a second that a replica of the first unit can do, by its profile."""
    unit = spec.units[0]
    count = spec.candidates_per_request
    requests = max(1, unit.max_candidates // count)
    return requests / float(service_time(unit.placed[0].profile).busy_s(requests, requests * count))


def _cell(
    server: Server, spec: PipelineSpec, replicas: int, load: float, rate: float, seconds: float
) -> Cell:
    bodies = [b'{"user_id": "u-%06d", "k": 32}' % user for user in range(97)]
    requests = [http_request("127.0.0.1", "/v1/rank", body) for body in bodies]
    run_open("127.0.0.1", server.port, OpenLoop(requests, rate, _WARM_S))
    times_s = _poisson(rate, seconds, seed=round(100 * load) + replicas)
    loop = OpenLoop(requests, rate, seconds, times_s=times_s.tolist())
    before, busy_s, started_s = server.meter.read(), machine_busy_s(), time.perf_counter()
    client_s = time.process_time()
    result = run_open("127.0.0.1", server.port, loop)
    client_s = time.process_time() - client_s
    used_s = core_seconds_by_role(before, server.meter.read()) | {"client": client_s}
    busy_s, wall_s = machine_busy_s() - busy_s, time.perf_counter() - started_s
    used_s["foreign"] = max(0.0, busy_s - sum(used_s.values()))
    batches = read_batches(loop.answers)
    simulations = [_simulated(spec, times_s, seed) for seed in range(_SEEDS)]
    p99s_ms = [simulation.latency.p99_ms for simulation in simulations]
    simulated = simulations[int(np.argsort(p99s_ms)[_SEEDS // 2])]
    unit = next(iter(simulated.units.values()))
    return Cell(
        replicas=replicas,
        load=load,
        rate=rate,
        seconds=seconds,
        live_p50_ms=result.p50_ms,
        live_p99_ms=result.p99_ms,
        live_p99_by_stretch_ms=p99_by_stretch_ms(loop.answers, loop.started_s, seconds),
        live_good=result.statuses.get("200", 0),
        live_sent=result.requests + result.missed + result.errors,
        live_batch_ms=sum(batches.stage_ms.values()),
        live_batch_requests=batches.mean_requests,
        client_late_p99_ms=result.send_lag_p99_ms,
        cores={role: round(spent_s / wall_s, 3) for role, spent_s in used_s.items()},
        simulated_p50_ms=simulated.latency.p50_ms,
        simulated_p99_ms=simulated.latency.p99_ms,
        simulated_p99_by_seed_ms=tuple(p99s_ms),
        simulated_batch_ms=(unit.busy_seconds * 1e3 - _beside_ms(spec) * len(times_s)) / unit.batches,
        simulated_batch_requests=len(times_s) / unit.batches,
    )


def _poisson(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    times_s = np.cumsum(random.exponential(1 / rate, int(rate * seconds * 1.2) + 100))
    return times_s[times_s < seconds]


def _simulated(spec: PipelineSpec, times_s: NDArray[np.float64], seed: int) -> Simulation:
    counts = np.full(len(times_s), spec.candidates_per_request, np.int32)
    return simulate(spec, Fixed(spec), [(times_s, counts)], SimulationOptions(seed=seed))


def _beside_ms(spec: PipelineSpec) -> float:
    """Give for how long a request keeps its replica beside its batch."""
    return spec.units[0].placed[0].profile.overhead_cpu_ms


def p99_by_stretch_ms(answers: Sequence[Answered], started_s: float, seconds: float) -> tuple[float, ...]:
    """Give p99 of the requests that were due in each third of the time."""
    due_s = np.array([answer.started_s - started_s for answer in answers])
    latency_ms = np.array([(answer.answered_s - answer.started_s) * 1e3 for answer in answers])
    stretch = np.clip((due_s / seconds * _STRETCHES).astype(int), 0, _STRETCHES - 1)
    return tuple(
        float(np.percentile(latency_ms[stretch == place], 99)) if (stretch == place).any() else float("nan")
        for place in range(_STRETCHES)
    )
