"""The bare model: the requests per second that this machine's cores score if they do nothing else.

    python -m benchmarks.cases.bare_model [--workload dlrm] [--seconds 1] [--json]

Every runtime that can execute the pipeline's models is tried with several batch sizes, as two processes with one thread
each and as one process with two threads. The inputs are assembled as in the service, and the assembly is not timed.
There are many different inputs, so that no result can be cached. If the pipeline has a reranker, each request passes
through both models.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty

from benchmarks.cases.batches import BareModels, BatchMaker, RuntimeKind, RuntimeLoader
from benchmarks.cases.workloads import WORKLOADS, Workload
from models.errors import ModelError
from services.config.pipeline import PipelineConfig
from services.deployment.check import check_artifacts
from services.paths import home_directory

RUNTIMES: tuple[RuntimeKind, ...] = ("onnx", "torch")
LAYOUTS = ((2, 1), (1, 2))  # processes, threads each
REQUESTS_A_BATCH = (1, 2, 4, 8, 16, 32, 64)
_MAX_CANDIDATES = 16_384
_START_LIMIT_S = 180.0
_PREPARED_CANDIDATES = 16_384


# Requests, wall seconds and CPU seconds for each batch size, or the error.
_Result = list[tuple[int, float, float]] | str


@dataclass(frozen=True, slots=True)
class BareCell:
    """The figures for one way to run the bare model: all processes' requests per second, and CPU per request."""

    runtime: RuntimeKind
    processes: int
    threads: int
    requests_a_batch: int
    rps: float
    core_ms_a_request: float


@dataclass(frozen=True, slots=True)
class _Plan:
    config: PipelineConfig
    home: Path
    runtime: RuntimeKind
    threads: int
    sizes: tuple[int, ...]
    seconds: float


def measure(
    workload: Workload,
    home: Path,
    *,
    seconds: float,
    runtimes: Sequence[RuntimeKind] = RUNTIMES,
    layouts: Sequence[tuple[int, int]] = LAYOUTS,
    sizes: Sequence[int] = REQUESTS_A_BATCH,
) -> list[BareCell]:
    """Measure every combination for ``seconds``. A runtime that cannot execute the models is skipped."""
    fitting = tuple(size for size in sizes if size == 1 or size * workload.candidates <= _MAX_CANDIDATES)
    cells = []
    for runtime in runtimes:
        for processes, threads in layouts:
            plan = _Plan(workload.pipeline(), home, runtime, threads, fitting, seconds)
            cells += _measure_layout(plan, processes)
    return cells


def best(cells: Sequence[BareCell]) -> BareCell:
    """Return the fastest cell."""
    return max(cells, key=lambda cell: cell.rps)


def _measure_layout(plan: _Plan, processes: int) -> list[BareCell]:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=_work, args=(plan, seed, barrier, results), daemon=True)
        for seed in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        reports = [_next_result(results, workers, plan.runtime) for _ in workers]
    finally:
        for worker in workers:
            worker.join(5)
            worker.kill()
    measured = [rows for rows in reports if not isinstance(rows, str)]
    if len(measured) < processes:
        fault = next(rows for rows in reports if isinstance(rows, str))
        sys.stderr.write(f"runtime {plan.runtime} is skipped: {fault}\n")
        return []
    cells = []
    for index, size in enumerate(plan.sizes):
        rows = [rows[index] for rows in measured]
        requests = sum(count for count, _, _ in rows)
        rps = sum(count / wall_s for count, wall_s, _ in rows)
        core_ms = sum(cpu_s for _, _, cpu_s in rows) * 1e3 / requests
        cells.append(BareCell(plan.runtime, processes, plan.threads, size, rps, core_ms))
    return cells


def _next_result(
    results: "multiprocessing.Queue[_Result]", workers: Sequence[BaseProcess], runtime: str
) -> _Result:
    while True:
        try:
            return results.get(timeout=1.0)
        except Empty:
            if any(worker.exitcode for worker in workers):
                raise RuntimeError(
                    f"a process of the bare {runtime} model failed; its error is above"
                ) from None


def _work(plan: _Plan, seed: int, barrier: Barrier, results: "multiprocessing.Queue[_Result]") -> None:
    try:
        maker = BatchMaker(plan.config, plan.home, seed)
        models = BareModels(
            plan.config, plan.home, RuntimeLoader(plan.runtime, plan.threads), maker.catalogue
        )
        models.run(models.inputs(maker.batch(1)))
    except (ModelError, ImportError) as error:
        barrier.abort()
        results.put(str(error))
        return
    rows = []
    for size in plan.sizes:
        per_batch = size * plan.config.candidates.count
        ring = [
            models.inputs(maker.batch(size))
            for _ in range(max(3, min(64, _PREPARED_CANDIDATES // per_batch)))
        ]
        models.run(ring[0])
        barrier.wait(_START_LIMIT_S)
        started_s, cpu_s, batches = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - started_s < plan.seconds or batches < 2:
            models.run(ring[batches % len(ring)])
            batches += 1
        wall_s = time.perf_counter() - started_s
        rows.append((batches * size, wall_s, time.process_time() - cpu_s))
    results.put(rows)


def table(cells: Sequence[BareCell]) -> str:
    """Return the cells as text."""
    lines = ["runtime  processes x threads  requests per batch  requests/s  core-ms per request"]
    lines += [
        f"{c.runtime:7}  {c.processes} x {c.threads}{c.requests_a_batch:34}  {c.rps:10.0f}  {c.core_ms_a_request:19.3f}"
        for c in cells
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.cases.bare_model", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="dlrm")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds per cell")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    workload, home = WORKLOADS[options.workload], home_directory()
    faults = check_artifacts(workload.pipeline(), home)
    if faults:
        sys.stderr.write("\n".join([f"error: {workload.name} cannot be run:", *faults, ""]))
        return 1
    cells = measure(workload, home, seconds=options.seconds)
    if options.json:
        json.dump(
            {"cells": [asdict(cell) for cell in cells], "best": asdict(best(cells))}, sys.stdout, indent=2
        )
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{table(cells)}\nfastest: {best(cells)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
