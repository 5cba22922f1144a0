"""Instances of a model in one replica, against several replicas, and against one replica with more threads.

    python -m benchmarks.instances [--workload walks-200] [--wide] [--cores 2] [--clients 1 8 32] [--rounds 2] [--json]

Every side may use the same number of cores. ``--wide`` replaces the workload's ranker by one of width 256 with 6 layers
and random weights, so that the model takes nearly all of the time. There is no fallback, so every answer is from the
full ranker. Memory is the proportional set size of all replicas together after the load: memory that several processes
share counts once.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cases.wide_ranker import write_wide_ranker
from benchmarks.cases.workloads import WORKLOADS, Workload, yaml_file
from benchmarks.harness.cells import Cell, Load, measure_cell
from benchmarks.harness.meters.memory import proportional_mib
from benchmarks.harness.meters.processes import CpuMeter
from benchmarks.harness.servers import service
from models.artifact import Artifact
from models.atomic_directory import settled
from services.paths import home_directory

_WARM_CLIENTS = 16
_DEADLINE_MS = 20_000
Pipeline = dict[str, Any]


def _unit(data: Pipeline) -> dict[str, Any]:
    unit: dict[str, Any] = data["units"]["main"]
    return unit


def _as_it_is(data: Pipeline, cores: int) -> None:
    pass


def _with_replicas(data: Pipeline, cores: int) -> None:
    _unit(data).update(replicas=cores)


def _with_instances(data: Pipeline, cores: int) -> None:
    _unit(data).update(cpus=cores)
    for model in data["models"].values():
        model["instances"] = cores


def _with_threads(data: Pipeline, cores: int) -> None:
    _unit(data).update(cpus=cores)
    for model in data["models"].values():
        model["runtime"]["threads"] = cores


SIDES: dict[str, Callable[[Pipeline, int], None]] = {
    "one": _as_it_is,
    "instances": _with_instances,
    "replicas": _with_replicas,
    "threads": _with_threads,
}
"""The sides: one replica with one thread, with instances, several replicas, and one replica with more threads."""


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds for one side under one load.

    Attributes:
        lowest_rps: the slowest round.
        highest_rps: the fastest round.
        core_ms: CPU milliseconds per request of all processes.
        pss_mib: the replicas' memory after the load.
    """

    side: str
    load: str
    rps: float
    lowest_rps: float
    highest_rps: float
    p50_ms: float
    p99_ms: float
    batch: float
    core_ms: float
    pss_mib: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        cores: the cores of each side.
        seconds: the length of a window.
    """

    workload: Workload
    is_wide: bool
    sides: Sequence[str]
    cores: int
    clients: Sequence[int]
    seconds: float
    rounds: int


def measure(plan: Plan, home: Path) -> list[Row]:
    """Start the sides one after the other in each round. Every second round is in reverse order."""
    cells: dict[tuple[str, str], list[Cell]] = {}
    memory: dict[str, list[float]] = {side: [] for side in plan.sides}
    with _pipeline(plan, home) as data:
        for number in range(plan.rounds):
            for side in plan.sides[:: -1 if number % 2 else 1]:
                with (
                    yaml_file(plan.workload.name, _changed(data, side, plan.cores)) as path,
                    service(path) as server,
                ):
                    bodies = plan.workload.bodies()
                    measure_cell(server, Load(clients=_WARM_CLIENTS), bodies, plan.seconds, 0.0)
                    for clients in plan.clients:
                        load = Load(clients=clients)
                        cell = measure_cell(server, load, bodies, plan.seconds, 0.0)
                        cells.setdefault((side, load.label), []).append(cell)
                    memory[side].append(_replicas_mib(server.meter))
    return [
        _row(side, load.label, cells[side, load.label], memory[side])
        for load in map(Load, plan.clients)
        for side in plan.sides
    ]


@contextmanager
def _pipeline(plan: Plan, home: Path) -> Iterator[Pipeline]:
    """Return the workload's pipeline with one replica, without a fallback, and perhaps with the wide ranker."""
    data = plan.workload.pipeline().model_dump(mode="json")
    data |= {"fallback": None, "requests": data["requests"] | _deadlines()}
    _unit(data).update(replicas=1, cpus=1, profile=None)
    ranker = data["models"][data["ranker"]["model"]]
    data["models"] = {name: model for name, model in data["models"].items() if name in _used(data)}
    with TemporaryDirectory(prefix="rankway-benchmark-") as folder:
        if plan.is_wide:
            write_wide_ranker(Path(folder) / "wide", Artifact.read(settled(home / ranker["artifact"])))
            ranker["artifact"] = str(Path(folder) / "wide")
        yield data


def _deadlines() -> dict[str, float]:
    return {"default_deadline_ms": _DEADLINE_MS, "max_deadline_ms": _DEADLINE_MS}


def _used(data: Pipeline) -> set[str]:
    return {data[stage]["model"] for stage in ("ranker", "reranker") if data[stage] is not None}


def _changed(data: Pipeline, side: str, cores: int) -> Pipeline:
    changed: Pipeline = json.loads(json.dumps(data))
    SIDES[side](changed, cores)
    return changed


def _replicas_mib(meter: CpuMeter) -> float:
    return sum(proportional_mib(pid) for pid, process in meter.read().items() if process.role == "replica")


def _row(side: str, load: str, cells: Sequence[Cell], memory: Sequence[float]) -> Row:
    rates = [cell.load.rps for cell in cells]
    return Row(
        side=side,
        load=load,
        rps=median(rates),
        lowest_rps=min(rates),
        highest_rps=max(rates),
        p50_ms=median(cell.load.p50_ms for cell in cells),
        p99_ms=median(cell.load.p99_ms for cell in cells),
        batch=median(cell.batches.mean_requests for cell in cells),
        core_ms=median(sum(cell.core_ms.values()) for cell in cells),
        pss_mib=median(memory),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="benchmarks.instances", description=about)
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument("--wide", action="store_true", help="rank with a wide model")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--cores", type=int, default=2, help="cores of each side")
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds per side and load")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    plan = Plan(
        workload=WORKLOADS[options.workload],
        is_wide=options.wide,
        sides=options.sides,
        cores=options.cores,
        clients=options.clients,
        seconds=options.seconds,
        rounds=options.rounds,
    )
    rows = measure(plan, home_directory())
    if options.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write("side       load  requests/s (lowest to highest)  p50 ms  p99 ms  batch  core-ms  MiB\n")
    for row in rows:
        sys.stdout.write(
            f"{row.side:9}  {row.load:4}  {row.rps:10,.0f} ({row.lowest_rps:,.0f} to {row.highest_rps:,.0f})  "
            f"{row.p50_ms:6.1f}  {row.p99_ms:6.1f}  {row.batch:5.1f}  {row.core_ms:7.2f}  {row.pss_mib:5.0f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
