"""All runtimes on the same models, in one run: scores, time of a request, time of a start, and memory. One thread each.

    python -m benchmarks.runtimes [--models walks] [--runtimes onnx,openvino] [--quick] [--json]

The models are DLRM, the walks ranker, trees over the same features, and MiniLM as a text ranker. Trees and MiniLM are
made in the data home if they are missing, and so are the packages of ``mode: aot``. A request has 1, 32, 200 or 1,000
candidates. The runtimes take turns, round by round. Of a text ranker's request at most four calls are executed, evenly
spaced, and their time is multiplied.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.harness.meters.machine import machine
from benchmarks.runtimes.parity import compare
from benchmarks.runtimes.report import Figures, tables
from benchmarks.runtimes.sides import load_sides, sides
from benchmarks.runtimes.speed import Budget, time_sides
from benchmarks.runtimes.starts import measure_starts
from benchmarks.runtimes.subjects import SUBJECTS, Subject
from models.runtimes.base import RuntimeOptions
from services.paths import home_directory

CANDIDATES = (1, 32, 200, 1000)
PARTS = ("parity", "speed", "starts")
_LIBRARIES = ("onnxruntime", "openvino", "torch", "lightgbm", "xgboost", "numpy")
_BATCHES, _RING, _WARM_UP = 40, 8, 32


def measure(
    subject: Subject,
    selected: Mapping[str, RuntimeOptions],
    budget: Budget,
    candidates: Sequence[int] = CANDIDATES,
    parts: Sequence[str] = PARTS,
    batches: int = _BATCHES,
) -> Figures:
    """Return the figures of one model.

    Args:
        subject: the model, with its requests.
        selected: the options, by side.
        budget: how long to measure each number of candidates.
        candidates: candidates in a request.
        parts: what to measure, some of ``PARTS``.
        batches: number of random batches whose scores are compared.
    """
    loaded = load_sides(subject.root, subject.artifact, selected)
    parity = compare(loaded, subject.batches(batches)) if "parity" in parts else []
    speeds = []
    for count in candidates if "speed" in parts else ():
        ring = [subject.request(count) for _ in range(_RING)]
        speeds += time_sides(loaded.runtimes, count, ring, budget)
    starts = []
    if "starts" in parts:
        starts = measure_starts(subject.root, loaded.configs, subject.request(_WARM_UP))
    return Figures(subject.name, parity, speeds, starts, loaded.refused)


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _names(known: Sequence[str]) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; use some of {', '.join(known)}")
        return names

    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    every = sides()
    parser = argparse.ArgumentParser(prog="benchmarks.runtimes", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=_names([*SUBJECTS]), default=[*SUBJECTS])
    parser.add_argument("--runtimes", type=_names([*every]), default=[*every])
    parser.add_argument("--parts", type=_names(PARTS), default=[*PARTS])
    parser.add_argument(
        "--candidates", type=lambda text: [int(n) for n in text.split(",")], default=[*CANDIDATES]
    )
    parser.add_argument(
        "--seconds", type=float, default=Budget().limit_s, help="limit for each number of candidates"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds and batches, to show that it works")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    budget = Budget(2, 0.002, 0.0) if options.quick else Budget(limit_s=options.seconds)
    selected = {side: every[side] for side in options.runtimes}
    figures = []
    for name in options.models:
        batches = 4 if options.quick else _BATCHES
        with closing(SUBJECTS[name](home_directory())) as subject:
            figures.append(measure(subject, selected, budget, options.candidates, options.parts, batches))
    here, versions = machine(), _versions()
    if options.json:
        report = {**here, "versions": versions, "threads": 1, "models": [each.data() for each in figures]}
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(f"{here['cpu']}, {here['cores']} cores, {', '.join(here['flags'])}; one thread\n")
    sys.stdout.write(", ".join(f"{library} {number}" for library, number in versions.items()) + "\n\n")
    sys.stdout.write("\n\n".join(tables(each) for each in figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
