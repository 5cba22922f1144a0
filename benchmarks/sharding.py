"""Shard groups measured: scores, time, memory and overhead against one process, in one run.

python benchmarks/sharding.py [--json] [--cases walks,bert,minilm,large,payload,dispatch] [--ranks 2,4]

Every side runs in processes of its own, one thread each. Memory is what loading the model and running it added:
anonymous at its peak, which the system cannot take back; and at rest with the mapped file's pages, after batches.
The case dispatch is ``benchmarks.dispatch``: Accelerate with half the weights on disk.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import dispatch
from benchmarks.sharding_cases import CASES, Case, tiny
from benchmarks.workloads import WORKLOADS
from models.runtimes import load_runtime
from models.runtimes.base import DeepSpeedConfig, Runtime, TorchConfig, runtime_config
from services.home import home_directory
from services.rank_processes import Processes
from services.shards import ShardGroup

_MIB = 1 << 20
_SAMPLE_S = 0.002
_SECONDS = 4.0
_MOST_RUNS, _FEWEST_RUNS = 2000, 5
_PEAK_BF16_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12}


@dataclass
class Side:
    """What one way of running a model gave: scores by shape, time of the first shape, and memory of each process."""

    scores: list[NDArray[np.float32]] = field(default_factory=list)
    p50_ms: float = 0.0
    peak_anonymous_mib: list[float] = field(default_factory=list)
    resting_mib: list[float] = field(default_factory=list)


class Growth:
    """How much memory processes have taken since it was made."""

    def __init__(self, pids: Sequence[int]) -> None:
        """Take note of what they have now, and look on."""
        self._pids = pids
        self._before = [_memory(pid) for pid in pids]
        self.peaks = [0.0] * len(pids)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> list[float]:
        """Stop looking; give what each has now, anonymous and mapped, in MiB."""
        self._stop.set()
        self._thread.join()
        now = [_memory(pid) for pid in self._pids]
        return [(sum(each) - sum(before)) / _MIB for each, before in zip(now, self._before, strict=True)]

    def _look(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            for place, pid in enumerate(self._pids):
                grown = (_memory(pid)[0] - self._before[place][0]) / _MIB
                self.peaks[place] = max(self.peaks[place], grown)


def _memory(pid: int) -> tuple[int, int]:
    """Give anonymous and file pages in bytes."""
    lines = dict(
        line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return int(lines["RssAnon"].split()[0]) * 1024, int(lines["RssFile"].split()[0]) * 1024


def whole(case: Case, before: Case) -> Side:
    """Run the model in this process."""
    return _run(
        case, before, lambda each: load_runtime(each.root, each.artifact, TorchConfig()), [_own_pid()]
    )


def sharded(case: Case, before: Case, options: dict[str, Any]) -> Side:
    """Run the model over ranks, of which this process is the first."""
    config = runtime_config(kind="deepspeed", timeout_s=60, **options)
    assert isinstance(config, DeepSpeedConfig)
    with _group(config) as (group, pids):
        return _run(case, before, lambda each: group.load(each.root, each.artifact, config), pids)


@contextmanager
def _group(config: DeepSpeedConfig) -> Iterator[tuple[ShardGroup, list[int]]]:
    processes = Processes()
    group = ShardGroup(config, processes)
    try:
        group.join()
        yield group, [_own_pid(), *[each.pid for each in processes.started if each.pid is not None]]
    finally:
        group.close()


def _run(case: Case, before: Case, load: Callable[[Case], Runtime], pids: list[int]) -> Side:
    kept = load(before)  # with it come the libraries, which are no part of the model
    kept.run(before.inputs(before.shapes[0]))
    growth = Growth(pids)
    runtime = load(case)
    side = Side(scores=[runtime.run(case.inputs(shape))["score"] for shape in case.shapes])
    side.resting_mib, side.peak_anonymous_mib = growth.stop(), growth.peaks
    inputs = case.inputs(case.shapes[0])
    times: list[float] = []
    until_s = time.perf_counter() + _SECONDS
    while len(times) < _FEWEST_RUNS or (time.perf_counter() < until_s and len(times) < _MOST_RUNS):
        started_s = time.perf_counter()
        runtime.run(inputs)
        times.append(time.perf_counter() - started_s)
    side.p50_ms = float(np.median(times)) * 1e3
    return side


def _own_pid() -> int:
    return multiprocessing.current_process().pid or 0


def _apart(function: Callable[..., Side], *arguments: Any) -> Side:
    """Call in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare(case: Case, before: Case, ranks: Sequence[int]) -> list[dict[str, Any]]:
    """Give a row for one process, and one for each number of ranks beside it."""
    one = _apart(whole, case, before)
    rows = [_row(case, 1, one, one)]
    return rows + [
        _row(case, count, _apart(sharded, case, before, {"shards": count}), one) for count in ranks
    ]


def _row(case: Case, ranks: int, side: Side, one: Side) -> dict[str, Any]:
    pairs = zip(side.scores, one.scores, strict=True)
    return {
        "model": case.name,
        "ranks": ranks,
        "shape": list(case.shapes[0]),
        "difference": max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs),
        "p50_ms": round(side.p50_ms, 3),
        "speedup": round(one.p50_ms / side.p50_ms, 2),
        "peak_anonymous_mib": round(max(side.peak_anonymous_mib), 1),
        "resting_mib": round(max(side.resting_mib), 1),
        "resting_ratio": round(max(side.resting_mib) / max(one.resting_mib), 2),
    }


def on_cuda(case: Case, before: Case) -> list[dict[str, Any]] | str:
    """Give a row for each way that one rank runs in bf16, or say that there is no device."""
    import torch

    if not torch.cuda.is_available():
        return "not run: no CUDA device"
    card = torch.cuda.get_device_name()
    peak = next((flops for name, flops in _PEAK_BF16_FLOPS.items() if name in card), float("nan"))
    pairs, tokens = case.shapes[0]
    weights = sum(path.stat().st_size for path in case.root.glob("*.safetensors")) / 4
    rows = []
    for name, options in {
        "plain": {},
        "kernels": {"kernel_injection": True},
        "graphs": {"cuda_graph": True},
    }.items():
        side = _apart(sharded, case, before, {"shards": 1, "dtype": "bf16", **options})
        a_second = 1e3 / side.p50_ms
        share = (
            2 * weights * pairs * tokens * a_second / peak
        )  # embeddings counted as if they were multiplied
        rows.append(
            {
                "card": card,
                "way": name,
                "candidates_per_s": round(pairs * a_second),
                "tokens_per_s": round(pairs * tokens * a_second),
                "share_of_bf16_rate": round(share, 4),
            }
        )
    return rows


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cases", default="walks,bert,minilm,large,payload,dispatch")
    parser.add_argument("--ranks", default="2")
    given = parser.parse_args()
    ranks = [int(count) for count in given.ranks.split(",")]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in (name for name in given.cases.split(",") if name != "dispatch"):
            case = CASES[name](home_directory(), Path(folder))
            rows += compare(case, tiny(Path(folder), case), ranks)
        case = CASES["bert"](home_directory(), Path(folder))
        cuda = on_cuda(case, tiny(Path(folder), case))
    cost = None
    if "dispatch" in given.cases.split(","):
        cost = dispatch.measure(WORKLOADS["walks-50"], home_directory(), "wide", share=0.5, rounds=5)
    if given.json:
        found = None if cost is None else cost.as_dict()
        print(json.dumps({"rows": rows, "dispatch": found, "cuda": cuda}, indent=1))
        return
    for row in rows:
        print(
            f"{row['model']:24} {row['ranks']} ranks  {row['p50_ms']:9.2f} ms  x{row['speedup']:<5} difference "
            f"{row['difference']:.1e}  anonymous {row['peak_anonymous_mib']:7.1f} MiB  at rest "
            f"{row['resting_mib']:7.1f} MiB ({row['resting_ratio']:.2f})"
        )
    if cost is not None:
        print(cost.table())
    print(f"CUDA: {cuda}")


if __name__ == "__main__":
    main()
