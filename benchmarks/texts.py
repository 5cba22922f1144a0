"""Text rankers: micro-batches by length against padding to the maximum, and ONNX Runtime against PyTorch, in one run.

    python -m benchmarks.texts [--candidates 50] [--max-length 128] [--repeats 5] [--json]

The model has MiniLM's shape and weights with a random head, as scores do not matter here. It reads the walks routes'
summaries. Three ways to score alternate:

- ``maximum``: all pairs in a request as one call, each padded to max-length
- ``longest``: one call, padded to the longest pair
- ``by length``: pairs sorted by length, in calls of max-tokens, as in the service
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.cases.minilm import TextRequests, draw_texts, write_minilm
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.registry import runtime_config
from models.signature import Inputs
from models.text.scorer import TextConfig

RUNTIMES, SIDES = ("onnx", "torch"), ("maximum", "longest", "by length")


@dataclass(frozen=True, slots=True)
class Side:
    """One way to score a request.

    Attributes:
        tokens: text tokens per request.
        slots: tokens and padding per request.
    """

    runtime: str
    side: str
    ms_a_request: float
    candidates_s: float
    tokens_s: float
    tokens: float
    slots: float


def padded(inputs: Inputs, length: int, pad_id: int) -> Inputs:
    """Pad inputs (P, L) to (P, length)."""
    more = ((0, 0), (0, length - inputs["input_ids"].shape[1]))
    return {
        name: np.pad(values, more, constant_values=pad_id if name == "input_ids" else 0)
        for name, values in inputs.items()
    }


def calls_of(workload: TextRequests, side: str, request: int, max_tokens: int) -> list[Inputs]:
    """Return the model calls for one request if it is scored as ``side`` says."""
    if side == "by length":
        return list(workload.calls(request, max_tokens))
    (whole,) = workload.calls(request, sys.maxsize)
    if side == "longest":
        return [whole]
    return [padded(whole, workload.pair.max_length, workload.pair.pad_id)]


def measure(workload: TextRequests, root: Path, max_tokens: int, repeats: int) -> list[Side]:
    """Time all ways to score on the same requests, in turns."""
    running = {kind: load_runtime(root, workload.artifact, runtime_config(kind=kind)) for kind in RUNTIMES}
    spent: dict[tuple[str, str], list[float]] = {(kind, side): [] for kind in RUNTIMES for side in SIDES}
    slots = dict.fromkeys(SIDES, 0.0)
    count, tokens = len(workload.texts), 0.0
    for request in range(count):
        for side in SIDES:
            calls = calls_of(workload, side, request, max_tokens)
            slots[side] += sum(call["input_ids"].size for call in calls) / count
        tokens += sum(int(call["attention_mask"].sum()) for call in calls) / count
    for repeat in range(-1, repeats):  # the first repeat is a warm-up
        for (kind, side), times in spent.items():
            started_s = time.perf_counter()
            _score(running[kind], workload, side, max_tokens)
            if repeat >= 0:
                times.append((time.perf_counter() - started_s) * 1e3 / count)
    candidates = len(workload.texts[0])
    return [
        Side(kind, side, ms, candidates * 1e3 / ms, tokens * 1e3 / ms, tokens, slots[side])
        for (kind, side), times in spent.items()
        for ms in [median(times)]
    ]


def _score(runtime: Runtime, workload: TextRequests, side: str, max_tokens: int) -> None:
    for request in range(len(workload.texts)):
        for call in calls_of(workload, side, request, max_tokens):
            runtime.run(call)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.texts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--requests", type=int, default=2)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--max-tokens", type=int, default=TextConfig().max_tokens)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rankway-texts-") as folder:
        root = Path(folder) / "minilm"
        artifact = write_minilm(root, options.max_length)
        workload = TextRequests.of(root, artifact, draw_texts(options.candidates, options.requests))
        sides = measure(workload, root, options.max_tokens, options.repeats)
    if options.json:
        report = {**vars(options), "threads": 1, "sides": [asdict(side) for side in sides]}
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(
        f"{'runtime':<8} {'side':<10} {'ms/request':>10} {'candidates/s':>13} {'tokens/s':>9} {'padding':>8}\n"
    )
    for side in sides:
        sys.stdout.write(
            f"{side.runtime:<8} {side.side:<10} {side.ms_a_request:>10.1f} {side.candidates_s:>13.1f} "
            f"{side.tokens_s:>9.0f} {1 - side.tokens / side.slots:>8.1%}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
