"""The full HTTP service, the same application on plain uvicorn, and the bare model, in one run on the same cores.

    python -m benchmarks.serving [--workload dlrm] [--quick] [--json]

Each repeat runs the bare model, the service and the control, the latter two in alternating order. A machine's speed
drifts, so only measurements close in time can be compared. The report has medians over the repeats and their spread.
The model's share of a request's CPU is what the bare model takes, as one process per core with one thread, in calls of
the service's sizes.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.cases import bare_model, dlrm
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.cells import Cell, Load, measure_cell
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import measure_quietly, say, wait_for_quiet
from benchmarks.harness.report import Measured, as_json, as_text, growth
from benchmarks.harness.servers import Server, control, service
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.torch import TorchConfig
from services.paths import home_directory

_CLOSED = tuple(Load(clients=clients) for clients in (1, 10, 32, 100))
_OPEN = (Load(share=0.5), Load(share=0.8))
_WARM = Load(clients=8)
_WARM_S = 2.0
Side = Callable[[Path], AbstractContextManager[Server]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        repeats: how often the bare model, the service and the control are measured.
        seconds: length of a cell's window.
        bare_seconds: length of a bare model's cell.
        wait_s: maximum wait before each part until other processes leave the cores idle.
        attempts: maximum windows for a cell if other processes disturb it.
    """

    repeats: int = 3
    seconds: float = 5.0
    bare_seconds: float = 1.0
    wait_s: float = 0.0
    attempts: int = 3


def run(workload: Workload, plan: Plan) -> Measured:
    """Measure the bare model, the service and the control under one workload.

    Raises:
        RuntimeError: data or models are missing, or a server did not start.
    """
    pipeline, home = workload.pipeline(), home_directory()
    workload.require(home)
    model = pipeline.models[pipeline.required_ranker().model].runtime
    if not isinstance(model, OnnxConfig | TorchConfig):
        raise RuntimeError(f"{workload.name}: the bare model needs a one-process runtime, got {model.kind}")
    say(f"{workload.name}: bare model")
    wait_for_quiet(plan.wait_s)
    cells = bare_model.measure(workload, home, seconds=plan.bare_seconds)
    if not cells:
        raise RuntimeError(
            f"no runtime can execute the models of {workload.name}; build and train them first"
        )
    measured = Measured(workload, cells)
    cores = os.cpu_count() or 1
    fastest = bare_model.best(cells)
    replicas = sum(unit.replicas for unit in pipeline.units.values())
    with workload.config_file() as config:
        for repeat in range(plan.repeats):
            wait_for_quiet(plan.wait_s)
            again = bare_model.measure(
                workload,
                home,
                seconds=plan.bare_seconds,
                runtimes=[fastest.runtime],
                layouts=[(fastest.processes, fastest.threads)],
                sizes=[fastest.requests_a_batch],
            )
            measured.bare_rps += [cell.rps for cell in again]
            # The model's cost per request at this time, with the replicas' runtime.
            measured.alike += bare_model.measure(
                workload, home, seconds=plan.bare_seconds / 2, runtimes=[model.kind], layouts=[(cores, 1)]
            )
            sides: list[tuple[str, Side]] = [
                ("service", service),
                ("control", lambda path: control(path, replicas)),
            ]
            for name, start in sides if repeat % 2 == 0 else reversed(sides):
                say(f"{workload.name}: repeat {repeat + 1} of {plan.repeats}: {name}")
                wait_for_quiet(plan.wait_s)
                with start(config) as server:
                    _measure_side(measured, name, server, workload.bodies(), plan)
    return measured


def _measure_side(measured: Measured, name: str, server: Server, bodies: Sequence[bytes], plan: Plan) -> None:
    measure_cell(server, _WARM, bodies, _WARM_S, 0.0)
    measured.health[name] = server.health()
    peak_rps = 0.0
    for load in _CLOSED:
        measure = partial(measure_cell, server, load, bodies, plan.seconds, 0.0)
        cell = measure_quietly(measure, plan.attempts, plan.seconds / 2)
        measured.add(name, load, cell)
        peak_rps = max(peak_rps, cell.load.rps)
        _say_cell(name, load, cell)
    # Service and control get the same load: a share of the service's peak in the first repeat.
    measured.peak_rps = measured.peak_rps or peak_rps
    for load in _OPEN:
        measure = partial(measure_cell, server, load, bodies, plan.seconds, measured.peak_rps)
        cell = measure_quietly(measure, plan.attempts, plan.seconds / 2)
        measured.add(name, load, cell)
        _say_cell(name, load, cell)


def _say_cell(name: str, load: Load, cell: Cell) -> None:
    result = cell.load
    say(
        f"  {name} {load.label}: {result.rps:.0f} requests/s, p50 {result.p50_ms:.2f} ms, p99 {result.p99_ms:.2f} ms, "
        f"statuses {result.statuses}, errors {result.errors}, missed {result.missed}, "
        f"{cell.batches.mean_requests:.1f} per batch, others' cores {cell.foreign_cores:.2f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--workload",
        choices=sorted(WORKLOADS),
        action="append",
        help="workload to measure. May be repeated. Default: dlrm",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds per cell")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="measure one repeat with 2 s per cell, as a trial: the figures are not reliable",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        help="maximum seconds to wait for idle cores before each measurement",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    plan = (
        Plan(repeats=1, seconds=2.0, bare_seconds=0.3, attempts=1)
        if options.quick
        else Plan(repeats=options.repeats, seconds=options.seconds, wait_s=options.wait)
    )
    names = options.workload or ["dlrm"]
    home = home_directory()
    if any(name in dlrm.PIPELINES for name in names):
        dlrm.build_if_missing(home)
    results = []
    for name in names:
        try:
            measured = run(WORKLOADS[name], plan)
        except RuntimeError as error:
            say(f"error: {error}")
            return 1
        results.append(as_json(measured, cores=os.cpu_count() or 1))
        if not options.json:
            sys.stdout.write(as_text(results[-1]) + "\n")
    ratios = growth(results)
    if options.json:
        json.dump({"machine": machine(), "results": results, "growth": ratios}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif ratios:
        sys.stdout.write("".join(f"{name}: {ratio:.2f}\n" for name, ratio in ratios.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
