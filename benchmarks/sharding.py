"""Shard groups compared with one process, in one run: scores, time, memory and overhead.

python benchmarks/sharding.py [--json] [--cases walks,bert,minilm,large,payload,dispatch] [--ranks 2] [--equality 4]
    [--ways tensor,pipeline] [--micro-batches 4]

A model can be split over ranks in two ways: ``tensor`` (runtime kind deepspeed) and ``pipeline`` (kind accelerate).
With the rank counts in ``--equality``, only scores are compared, because two cores cannot show the time that four ranks
take.

Each way to run a model has its own processes, with one thread each. Memory is the growth from loading and running the
model.
Anonymous memory, which the system cannot take back, is reported at its peak. Memory at rest is reported after the
batches and includes mapped file pages. The case dispatch is ``benchmarks.dispatch``: Accelerate with half the weights
on disk.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import dispatch
from benchmarks.cases.sharding_models import CASES, Case, tiny
from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.meters.memory import Growth
from models.errors import RuntimeFailure
from models.runtimes import load_runtime
from models.runtimes.base import GroupOptions, Runtime, group_of
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.kinds.torch import TorchConfig
from services.paths import home_directory
from services.sharding.group import ShardGroup
from services.sharding.processes import ProcessLauncher

_SECONDS = 4.0
_MOST_RUNS, _FEWEST_RUNS = 2000, 5
_WAYS: dict[str, dict[str, Any]] = {"tensor": {"kind": "deepspeed"}, "pipeline": {"kind": "accelerate"}}
_PEAK_BF16_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12}


@dataclass
class Side:
    """The figures for one way to run a model.

    Attributes:
        scores: one array per input shape.
        p50_ms: median time for the first shape.
        peak_anonymous_mib: each process's peak.
        resting_mib: each process's memory at rest.
        refused: the reason, if the model cannot run in this way.
    """

    scores: list[NDArray[np.float32]] = field(default_factory=list)
    p50_ms: float = 0.0
    peak_anonymous_mib: list[float] = field(default_factory=list)
    resting_mib: list[float] = field(default_factory=list)
    refused: str | None = None


def whole(case: Case, before: Case) -> Side:
    """Run the model in this process. ``before`` is a tiny model that loads the libraries first."""
    return _run(
        case,
        before,
        lambda each: load_runtime(each.root, each.artifact, TorchConfig()),
        [_own_pid()],
        _SECONDS,
    )


def sharded(case: Case, before: Case, options: dict[str, Any], seconds: float = _SECONDS) -> Side:
    """Run the model over ranks. This process is the first rank. If `seconds` is 0, no times are measured."""
    config = runtime_config(timeout_s=60, **options)
    group_config = group_of(config)
    assert group_config is not None
    with _group(group_config) as (group, pids):
        try:
            return _run(
                case, before, lambda each: group.load(each.root, each.artifact, config), pids, seconds
            )
        except RuntimeFailure as error:
            return Side(refused=str(error))


@contextmanager
def _group(config: GroupOptions) -> Iterator[tuple[ShardGroup, list[int]]]:
    processes = ProcessLauncher()
    group = ShardGroup(config, processes)
    try:
        group.join()
        yield group, [_own_pid(), *[each.pid for each in processes.started if each.pid is not None]]
    finally:
        group.close()


def _run(case: Case, before: Case, load: Callable[[Case], Runtime], pids: list[int], seconds: float) -> Side:
    warm_up = load(before)  # loads the libraries, which do not count as the model's memory
    warm_up.run(before.inputs(before.shapes[0]))
    growth = Growth(pids)
    runtime = load(case)
    side = Side(scores=[runtime.run(case.inputs(shape))["score"] for shape in case.shapes])
    side.resting_mib, side.peak_anonymous_mib = growth.stop(), growth.peaks
    if not seconds:
        return side
    inputs = case.inputs(case.shapes[0])
    times: list[float] = []
    until_s = time.perf_counter() + seconds
    while len(times) < _FEWEST_RUNS or (time.perf_counter() < until_s and len(times) < _MOST_RUNS):
        started_s = time.perf_counter()
        runtime.run(inputs)
        times.append(time.perf_counter() - started_s)
    side.p50_ms = float(np.median(times)) * 1e3
    return side


def _own_pid() -> int:
    return multiprocessing.current_process().pid or 0


def _apart(function: Callable[..., Side], *arguments: Any) -> Side:
    """Call the function in a separate process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare(
    case: Case, before: Case, ways: dict[str, dict[str, Any]], ranks: Sequence[int], equality: Sequence[int]
) -> list[dict[str, Any]]:
    """Return a row for one process, and a row for each way and rank count."""
    reference = _apart(whole, case, before)
    rows = [_row(case, "whole", 1, reference, reference)]
    for way, options in ways.items():
        for count in (*ranks, *equality):
            seconds = _SECONDS if count in ranks else 0.0
            side = _apart(sharded, case, before, {**options, "shards": count}, seconds)
            rows.append(_row(case, way, count, side, reference))
    return rows


def _row(case: Case, way: str, ranks: int, side: Side, reference: Side) -> dict[str, Any]:
    row: dict[str, Any] = {"model": case.name, "way": way, "ranks": ranks, "shape": list(case.shapes[0])}
    if side.refused is not None:
        return {**row, "refused": side.refused}
    pairs = zip(side.scores, reference.scores, strict=True)
    row["difference"] = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
    row["peak_anonymous_mib"] = round(max(side.peak_anonymous_mib), 1)
    row["resting_mib"] = [round(mib, 1) for mib in side.resting_mib]
    row["resting_ratio"] = round(max(side.resting_mib) / max(reference.resting_mib), 2)
    if side.p50_ms:
        row |= {"p50_ms": round(side.p50_ms, 3), "speedup": round(reference.p50_ms / side.p50_ms, 2)}
    return row


def on_cuda(folder: Path) -> list[dict[str, Any]] | str:
    """Return a row for each way to run BERT-base in bf16 on one rank, or a note that there is no device."""
    import torch

    if not torch.cuda.is_available():
        return "not run: no CUDA device"
    case = CASES["bert"](home_directory(), folder)
    before = tiny(folder, case)
    device_name = torch.cuda.get_device_name()
    peak = next((flops for name, flops in _PEAK_BF16_FLOPS.items() if name in device_name), float("nan"))
    pairs, tokens = case.shapes[0]
    weights = sum(path.stat().st_size for path in case.root.glob("*.safetensors")) / 4
    rows = []
    for name, options in {
        "plain": {},
        "kernels": {"kernel_injection": True},
        "graphs": {"cuda_graph": True},
    }.items():
        side = _apart(sharded, case, before, {"kind": "deepspeed", "shards": 1, "dtype": "bf16", **options})
        runs_per_s = 1e3 / side.p50_ms
        # Embeddings are counted as if they were multiplied.
        share = 2 * weights * pairs * tokens * runs_per_s / peak
        rows.append(
            {
                "card": device_name,
                "way": name,
                "candidates_per_s": round(pairs * runs_per_s),
                "tokens_per_s": round(pairs * tokens * runs_per_s),
                "share_of_bf16_rate": round(share, 4),
            }
        )
    return rows


def measure(options: argparse.Namespace) -> tuple[list[dict[str, Any]], dispatch.DispatchCost | None, Any]:
    """Return the shard groups' rows, the dispatch cost, and the result on a CUDA device."""
    ways = {name: _WAYS[name] for name in options.ways.split(",")}
    if "pipeline" in ways:
        ways["pipeline"] = {**ways["pipeline"], "micro_batches": options.micro_batches}
    ranks, equality = ([int(n) for n in each.split(",") if n] for each in (options.ranks, options.equality))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in (name for name in options.cases.split(",") if name != "dispatch"):
            case = CASES[name](home_directory(), Path(folder))
            rows += compare(case, tiny(Path(folder), case), ways, ranks, equality)
        cuda = on_cuda(Path(folder))
    cost = None
    if "dispatch" in options.cases.split(","):
        cost = dispatch.measure(WORKLOADS["walks-50"], home_directory(), "wide", share=0.5, rounds=5)
    return rows, cost, cuda


@contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Yield stdout for the result alone. Libraries' output, in this process or a rank, goes to stderr."""
    with os.fdopen(os.dup(1), "w") as result:
        sys.stdout.flush()
        os.dup2(2, 1)
        yield result


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cases", default="walks,bert,minilm,large,payload,dispatch")
    parser.add_argument("--ways", default=",".join(_WAYS))
    parser.add_argument("--ranks", default="2")
    parser.add_argument("--equality", default="4")
    parser.add_argument("--micro-batches", type=int, default=4)
    options = parser.parse_args()
    with _own_stdout() as out:
        rows, cost, cuda = measure(options)
        if options.json:
            dispatch_cost = None if cost is None else cost.as_dict()
            print(json.dumps({"rows": rows, "dispatch": dispatch_cost, "cuda": cuda}, indent=1), file=out)
            return
        for row in rows:
            print(_line(row), file=out)
        if cost is not None:
            print(cost.table(), file=out)
        print(f"CUDA: {cuda}", file=out)


def _line(row: dict[str, Any]) -> str:
    label = f"{row['model']:24} {row['way']:8} {row['ranks']} ranks"
    if "refused" in row:
        return f"{label}  {row['refused']}"
    time_ms = f"{row['p50_ms']:9.2f} ms  x{row['speedup']:<5}" if "p50_ms" in row else " " * 20
    resting = ", ".join(f"{mib:.1f}" for mib in row["resting_mib"])
    return (
        f"{label}  {time_ms} difference {row['difference']:.1e}  anonymous {row['peak_anonymous_mib']:7.1f} MiB  at "
        f"rest {resting} MiB ({row['resting_ratio']:.2f})"
    )


if __name__ == "__main__":
    main()
