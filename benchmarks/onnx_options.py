"""The options of ONNX Runtime against its defaults: time of a call, time of a load, and memory of two replicas.

    python -m benchmarks.onnx_options [--workload dlrm] [--repeats 9] [--json]

One request with 1, 32, 200 and 1,000 candidates is scored by all options in turns, on inputs as in the service. Each
repeat gives a ratio to the defaults with as many threads. The figures are medians, and the spread is
(largest - smallest) / median. Loading is measured in two new processes at once, which both keep the model.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cases.batches import BatchMaker, owned, with_candidates
from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.meters.memory import proportional_mib
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.cpu_flags import cpu_flags
from models.runtimes import load_runtime
from models.runtimes.kinds.onnx import OnnxConfig
from models.signature import Inputs
from services.config.pipeline import PipelineConfig
from services.paths import home_directory

CANDIDATES = (1, 32, 200, 1000)
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "graph_cache": {},  # the folder is added
    "io_binding": {"io_binding": True},
    "cpu_mem_arena: false": {"cpu_mem_arena": False},
    "extended": {"graph_optimization_level": "extended"},
    "basic": {"graph_optimization_level": "basic"},
    "disabled": {"graph_optimization_level": "disabled"},
    "2 threads": {"threads": 2},
    "2 threads, spinning": {"threads": 2, "allow_spinning": True},
    "2 threads, parallel": {"threads": 2, "execution_mode": "parallel"},
}
REFERENCES = {name: "2 threads" for name in OPTIONS if name.startswith("2 threads,")}
_WINDOW_S = 0.02
_START_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Call:
    """The time of a call, with its ratio to the defaults. Above 1 is slower."""

    option: str
    candidates: int
    ms: float
    ratio: float
    spread: float


@dataclass(frozen=True, slots=True)
class Load:
    """The time to load a model in one of two new processes, and the growth of its proportional set size."""

    option: str
    load_ms: float
    memory_mib: float


def configurations(cache: Path) -> dict[str, OnnxConfig]:
    """Return the configuration of each option."""
    return {
        name: OnnxConfig(**options, graph_cache=cache if name == "graph_cache" else None)
        for name, options in OPTIONS.items()
    }


def measure_calls(config: PipelineConfig, home: Path, root: Path, cache: Path, repeats: int) -> list[Call]:
    """Time the calls of all options in turns."""
    artifact = Artifact.load(root)
    runtimes = {name: load_runtime(root, artifact, each) for name, each in configurations(cache).items()}
    rows = []
    for candidates in CANDIDATES:
        ring = _inputs(config, home, artifact, candidates)
        times: dict[str, list[float]] = {name: [] for name in runtimes}
        for repeat in range(-1, repeats):  # the first repeat is a warm-up
            for name, runtime in list(runtimes.items())[:: 1 if repeat % 2 else -1]:
                started_s, calls = time.perf_counter(), 0
                while time.perf_counter() - started_s < _WINDOW_S:
                    runtime.run(ring[calls % len(ring)])
                    calls += 1
                if repeat >= 0:
                    times[name].append((time.perf_counter() - started_s) * 1e3 / calls)
        for name, each in times.items():
            reference = times[REFERENCES.get(name, "defaults")]
            ratios = [own / other for own, other in zip(each, reference, strict=True)]
            spread = (max(ratios) - min(ratios)) / median(ratios)
            rows.append(Call(name, candidates, median(each), median(ratios), spread))
    return rows


def _inputs(config: PipelineConfig, home: Path, artifact: Artifact, candidates: int) -> list[Inputs]:
    maker = BatchMaker(with_candidates(config, candidates), home, candidates)
    assemble = InputAssembler(artifact.signature, maker.catalogue)
    return [owned(assemble(maker.batch(1))) for _ in range(16)]


def measure_loads(root: Path, cache: Path, repeats: int) -> list[Load]:
    """Load the model with the defaults and with a filled cache in turns, each in two new processes."""
    configs = {
        name: each for name, each in configurations(cache).items() if name in {"defaults", "graph_cache"}
    }
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in configs}
    context = multiprocessing.get_context("spawn")
    for _ in range(repeats):
        for name, config in configs.items():
            barrier = context.Barrier(2)
            results = context.SimpleQueue()
            workers = [context.Process(target=_load, args=(root, config, barrier, results)) for _ in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(_START_LIMIT_S)
                if worker.exitcode != 0:
                    raise RuntimeError(
                        f"a process that loads the model with {name} failed; its error is above"
                    )
            figures[name] += [results.get() for _ in workers]
    return [
        Load(name, median(ms for ms, _ in rows), median(mib for _, mib in rows))
        for name, rows in figures.items()
    ]


def _load(root: Path, config: OnnxConfig, barrier: Barrier, results: Any) -> None:
    import models.runtimes.onnx  # noqa: F401  # the import is not timed

    artifact = Artifact.read(root)
    barrier.wait(_START_LIMIT_S)
    before_mib, started_s = proportional_mib(os.getpid()), time.perf_counter()
    runtime = load_runtime(root, artifact, config)
    load_ms = (time.perf_counter() - started_s) * 1e3
    barrier.wait(_START_LIMIT_S)
    memory_mib = proportional_mib(os.getpid()) - before_mib
    barrier.wait(_START_LIMIT_S)
    results.put((load_ms, memory_mib))
    del runtime


def table(calls: Sequence[Call], loads: Sequence[Load]) -> str:
    """Return the figures as text."""
    lines = [f"{'option':<22} {'candidates':>10} {'ms a call':>10} {'ratio':>6} {'spread':>7}"]
    lines += [
        f"{c.option:<22} {c.candidates:>10} {c.ms:>10.3f} {c.ratio:>6.2f} {c.spread:>7.0%}" for c in calls
    ]
    lines.append(f"{'option':<22} {'load ms':>10} {'MiB a process':>14}")
    lines += [f"{each.option:<22} {each.load_ms:>10.1f} {each.memory_mib:>14.1f}" for each in loads]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.onnx_options", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    config, home = WORKLOADS[options.workload].pipeline(), home_directory()
    root = home / config.models[config.required_ranker().model].artifact
    with tempfile.TemporaryDirectory(prefix="rankway-onnx-options-") as folder:
        calls = measure_calls(config, home, root, Path(folder), options.repeats)
        loads = measure_loads(root, Path(folder), max(1, options.repeats // 3))
    if options.json:
        report = {
            "cpu_flags": cpu_flags(),
            "calls": [asdict(c) for c in calls],
            "loads": [asdict(e) for e in loads],
        }
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{table(calls, loads)}\nCPU flags: {' '.join(cpu_flags())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
