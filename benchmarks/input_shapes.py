"""OpenVINO with padded and with dynamic input shapes, and ONNX Runtime, in one run on the same calls.

    python -m benchmarks.input_shapes [--workload walks-200] [--requests 8] [--calls 1000] [--varied] [--json]

The ranker scores batches of 1 to ``--requests`` requests. Each has the workload's candidate count, or with ``--varied``
1 candidate up to this count. OpenVINO generates code for each new shape. The first half of the calls is the warm-up.
Only the second half is timed. It has shapes that were seen and shapes that are new, as in a service. The sides take
turns, call by call.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np

from benchmarks.cases.batches import BatchMaker, owned, shortened
from benchmarks.cases.workloads import WORKLOADS, Workload
from benchmarks.harness.meters.machine import machine
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.registry import runtime_config
from models.signature import Inputs
from services.paths import home_directory

SIDES: Mapping[str, Mapping[str, str]] = {
    "onnx": {"kind": "onnx"},
    "openvino buckets": {"kind": "openvino", "shapes": "buckets"},
    "openvino dynamic": {"kind": "openvino", "shapes": "dynamic"},
    "openvino auto": {"kind": "openvino", "precision": "auto"},
}


@dataclass(frozen=True, slots=True)
class Side:
    """One side's times per call. ``of_onnx`` is its mean divided by ONNX Runtime's mean."""

    side: str
    mean_ms: float
    p50_ms: float
    p99_ms: float
    of_onnx: float


def measure(runtimes: Mapping[str, Runtime], calls: Sequence[Inputs]) -> list[Side]:
    """Execute every call on every side, and return the figures for the second half of the calls.

    Args:
        runtimes: the sides by name. The first one is the reference.
        calls: each call's inputs.
    """
    times: dict[str, list[float]] = {side: [] for side in runtimes}
    sides = list(runtimes)
    for number, inputs in enumerate(calls):
        turn = number % len(sides)
        for side in (*sides[turn:], *sides[:turn]):
            started_s = time.perf_counter()
            runtimes[side].run(inputs)
            times[side].append((time.perf_counter() - started_s) * 1e3)
    timed = {side: ms[len(calls) // 2 :] for side, ms in times.items()}
    reference = fmean(timed[sides[0]])
    return [
        Side(side, fmean(ms), float(np.median(ms)), float(np.quantile(ms, 0.99)), fmean(ms) / reference)
        for side, ms in timed.items()
    ]


def make_calls(
    workload: Workload, requests: int, count: int, *, varied: bool
) -> tuple[dict[str, Runtime], list[Inputs]]:
    """Return the ranker with each runtime, and its inputs for random batches."""
    pipeline, home = workload.pipeline(), home_directory()
    maker = BatchMaker(pipeline, home, seed=0)
    root = home / pipeline.models[pipeline.required_ranker().model].artifact
    artifact = Artifact.load(root)
    assemble = InputAssembler(artifact.signature, maker.catalogue)
    random = np.random.default_rng(0)
    calls = [owned(assemble(batch)) for batch in _batches(maker, random, requests, count, varied=varied)]
    runtimes = {
        side: load_runtime(root, artifact, runtime_config(**options)) for side, options in SIDES.items()
    }
    return runtimes, calls


def _batches(
    maker: BatchMaker, random: np.random.Generator, requests: int, count: int, *, varied: bool
) -> Iterator[RaggedBatch]:
    """Yield batches. If they are varied, each request keeps a random number of its candidates."""
    for _ in range(count):
        batch = maker.batch(int(random.integers(1, requests + 1)))
        if not varied:
            yield batch
            continue
        yield shortened(batch, random.integers(1, np.diff(batch.offsets) + 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.input_shapes", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="walks-200")
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--varied", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    runtimes, calls = make_calls(
        WORKLOADS[options.workload], options.requests, options.calls, varied=options.varied
    )
    sides = measure(runtimes, calls)
    if options.json:
        report = {**machine(), **vars(options), "threads": 1, "sides": [asdict(side) for side in sides]}
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    cpu = machine()
    sys.stdout.write(f"{cpu['cpu']}, {cpu['cores']} cores, {', '.join(cpu['flags'])}\n")
    sys.stdout.write(f"{'side':<18} {'mean ms':>8} {'p50 ms':>8} {'p99 ms':>8} {'of onnx':>8}\n")
    for side in sides:
        sys.stdout.write(
            f"{side.side:<18} {side.mean_ms:>8.3f} {side.p50_ms:>8.3f} {side.p99_ms:>8.3f} {side.of_onnx:>8.2f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
