"""Shard groups compared with one process, in one run: scores, time and memory.

python benchmarks/sharding.py [--json] [--cases walks,bert,minilm,large,payload,dispatch] [--ranks 2] [--equality 4]
    [--ways tensor,pipeline] [--micro-batches 4] [--rounds 9]

A model can be split over ranks in two ways: ``tensor`` (runtime kind deepspeed) and ``pipeline`` (kind accelerate).
With the rank counts in ``--equality``, only scores are compared, because two cores cannot show the time that four ranks
take.

Every rank and the one process have one thread. To compare times, the same processes run the model whole and split, in
turn. A speed-up is the median of the ratios of all rounds, with the lowest and the highest. To compare memory, each way
to run the model has its own processes. Each pipeline has a timeline, as in ``benchmarks.pipeline_timeline``. The case
dispatch is ``benchmarks.dispatch``: Accelerate with half the weights on disk.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import dispatch
from benchmarks.cases.sharding_models import CASES, Case, tiny
from benchmarks.cases.workloads import WORKLOADS
from benchmarks.harness.meters.machine import machine
from benchmarks.pipeline_timeline import summary
from benchmarks.shards.sides import Side, apart, sharded, whole
from benchmarks.shards.times import Times, alternate
from services.paths import home_directory

_CUDA_SECONDS = 4.0
_WAYS: dict[str, dict[str, Any]] = {"tensor": {"kind": "deepspeed"}, "pipeline": {"kind": "accelerate"}}
_PEAK_BF16_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12}
_TIMELINE_RUNS = 9


def compare(
    case: Case,
    before: Case,
    ways: dict[str, dict[str, Any]],
    ranks: Sequence[int],
    equality: Sequence[int],
    rounds: int,
) -> list[dict[str, Any]]:
    """Return a row for one process, and a row for each way and rank count."""
    reference = apart(whole, case, before)
    rows = [_row(case, "whole", 1, reference, reference)]
    for count in (*ranks, *equality):
        times = apart(alternate, case, ways, count, rounds) if count in ranks else {}
        for way, options in ways.items():
            side = apart(sharded, case, before, {**options, "shards": count})
            row = _row(case, way, count, side, reference)
            if way in times:
                row |= _timed(times[way], times["whole"])
            rows.append(row)
            if way == "pipeline" and way in times:
                row["timeline"] = summary(case, count, options["micro_batches"], _TIMELINE_RUNS)
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
    return row


def _timed(times: Times, one_process: Times) -> dict[str, Any]:
    speedups = times.speedups(one_process)
    return {
        "p50_ms": round(times.p50_ms, 3),
        "one_process_p50_ms": round(one_process.p50_ms, 3),
        "speedup": round(median(speedups), 2),
        "lowest_speedup": round(speedups[0], 2),
        "highest_speedup": round(speedups[-1], 2),
        "rounds": len(speedups),
    }


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
        side = apart(
            sharded,
            case,
            before,
            {"kind": "deepspeed", "shards": 1, "dtype": "bf16", **options},
            _CUDA_SECONDS,
        )
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
            rows += compare(case, tiny(Path(folder), case), ways, ranks, equality, options.rounds)
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
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with _own_stdout() as out:
        rows, cost, cuda = measure(options)
        if options.json:
            dispatch_cost = None if cost is None else cost.as_dict()
            report = {"machine": machine(), "rows": rows, "dispatch": dispatch_cost, "cuda": cuda}
            print(json.dumps(report, indent=1), file=out)
            return
        cpu = machine()
        print(f"{cpu['cpu']}, {cpu['cores']} cores, {', '.join(cpu['flags'])}", file=out)
        for row in rows:
            print(_line(row), file=out)
        if cost is not None:
            print(cost.table(), file=out)
        print(f"CUDA: {cuda}", file=out)


def _line(row: dict[str, Any]) -> str:
    label = f"{row['model']:24} {row['way']:8} {row['ranks']} ranks"
    if "refused" in row:
        return f"{label}  {row['refused']}"
    time_ms = ""
    if "p50_ms" in row:
        spread = f"{row['lowest_speedup']} to {row['highest_speedup']}"
        time_ms = f"{row['one_process_p50_ms']:.2f} / {row['p50_ms']:.2f} ms  x{row['speedup']} ({spread})  "
    resting = ", ".join(f"{mib:.1f}" for mib in row["resting_mib"])
    return (
        f"{label}  {time_ms}difference {row['difference']:.1e}  anonymous {row['peak_anonymous_mib']:7.1f} MiB  at "
        f"rest {resting} MiB ({row['resting_ratio']:.2f})"
    )


if __name__ == "__main__":
    main()
