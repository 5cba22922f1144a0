"""Accuracy: the DLRM at fixed replicas and loads, live and simulated from a profile that was measured before."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from autoscale.policies.fixed import Fixed
from autoscale.service_time import service_time
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.simulate import simulate
from autoscale.spec import PipelineSpec
from benchmarks.connections import http_request
from benchmarks.load import run_open
from benchmarks.open_loop import OpenLoop
from benchmarks.servers import Server, service
from services.config import load_config, validated
from services.lowering import spec_of

_CONFIG = Path(__file__).resolve().parents[2] / "configs" / "dlrm.yaml"
_REPLICAS = (1, 2)
_LOADS = (0.5, 0.7, 0.85)
_SIMULATED_S = 60.0
_WARM_S = 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of replicas at one load: a share of the most that their profile says they can do."""

    replicas: int
    load: float
    rate: float
    live_p50_ms: float
    live_p99_ms: float
    live_good: int
    live_sent: int
    send_lag_p99_ms: float
    simulated_p50_ms: float
    simulated_p99_ms: float

    @property
    def difference(self) -> float:
        """Of p99, as a share of the live one."""
        return self.simulated_p99_ms / self.live_p99_ms - 1


def run_accuracy(home: Path, seconds: float, say: Callable[[str], None]) -> list[Cell]:
    """Measure and simulate every cell."""
    return [cell for replicas in _REPLICAS for cell in _cells(home, replicas, seconds, say)]


def _cells(home: Path, replicas: int, seconds: float, say: Callable[[str], None]) -> Iterator[Cell]:
    data = load_config(_CONFIG).model_dump(mode="json")
    data["units"]["main"]["replicas"] = replicas
    config = validated(data, "accuracy")
    spec = spec_of(config, home)
    with tempfile.TemporaryDirectory(prefix="rankway-live-") as folder:
        path = Path(folder) / "dlrm.yaml"
        path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        with service(path) as server:
            for load in _LOADS:
                rate = load * replicas * _most_per_s(spec)
                say(f"{replicas} replicas at {load:.0%}: {rate:.0f} requests a second")
                yield _cell(server, spec, replicas, load, rate, seconds)


def _most_per_s(spec: PipelineSpec) -> float:
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
    run_open("127.0.0.1", server.port, OpenLoop(requests, rate / 2, _WARM_S))
    result = run_open("127.0.0.1", server.port, OpenLoop(requests, rate, seconds, seed=5))
    random = np.random.default_rng(3)
    times_s = np.cumsum(random.exponential(1 / rate, int(rate * _SIMULATED_S)))
    counts = np.full(len(times_s), spec.candidates_per_request, np.int32)
    simulation = simulate(spec, Fixed(spec), [(times_s, counts)], SimulationOptions())
    return Cell(
        replicas=replicas,
        load=load,
        rate=rate,
        live_p50_ms=result.p50_ms,
        live_p99_ms=result.p99_ms,
        live_good=result.statuses.get("200", 0),
        live_sent=result.requests + result.missed + result.errors,
        send_lag_p99_ms=result.send_lag_p99_ms,
        simulated_p50_ms=simulation.latency.p50_ms,
        simulated_p99_ms=simulation.latency.p99_ms,
    )
