"""The last rung through the service: ``configs/bert-billion.yaml`` behind ``/v1/rank``, at its peak and at 70% of it.

    python -m benchmarks.bert.served [--seconds 10] [--repeats 3] [--make] [--json]

A request has one candidate, as in the published workload: one text to score. Query and text are cut to 24 tokens
together. That is the median of the ladder's mix ``median 24``, but that mix has longer texts too. The output has the
distribution. ``benchmarks/bert_ladder.py`` makes the model first.

Each repeat starts the service again. A window that other processes disturb is measured again, at most twice. The peak
is a closed loop with 16 clients. Then an open loop sends Poisson arrivals at 70% of the peak, and its latencies count
from the scheduled times.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bert.mixes import distribution_of, shown
from benchmarks.bert.models import STATIC
from benchmarks.harness.cells import Cell, Load, measure_cell
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import measure_quietly, say
from benchmarks.harness.servers import service
from models.artifact import Artifact, write_artifact
from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.text.scorer import PairScorer, TextConfig
from models.text.tokenizer import TOKENIZER
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.paths import home_directory
from services.profiling.sample_requests import SampleRequests
from walks.text.queries import QuerySet
from walks.text.query_lists import batch_of

CONFIG = Path(__file__).resolve().parents[2] / "configs/bert-billion.yaml"
MODELS = Path("benchmarks/bert")
PEAK, SHARE = Load(clients=16), Load(share=0.7)
_TEXT, _MAX_LENGTH = "details.name", 24
_BODIES, _WARM_UP_S = 997, 5.0
_ATTEMPTS, _PAUSE_S = 3, 1.0


def write_served(home: Path) -> Artifact:
    """Write the artifact of the pipeline: the ladder's int8 student, over the names of routes.

    A pair has at most 24 tokens, the median of the mix: a query, and the beginning of a route's name.
    """
    source, root = home / MODELS / "base" / STATIC, home / MODELS / "served"
    student = Artifact.load(source)
    pair = student.signature.pair
    assert pair is not None
    pair = pair.model_copy(update={"text": _TEXT, "max_length": _MAX_LENGTH})

    def write(staging: Path) -> None:
        for name in (student.weights, TOKENIZER):
            shutil.copyfile(source / name, staging / name)

    return write_artifact(
        root,
        name="bert-billion",
        signature=student.signature.model_copy(update={"pair": pair}),
        weights=student.weights,
        write_files=write,
        lineage=student.lineage,
    )


def bodies(home: Path) -> list[bytes]:
    """Return request bodies with queries."""
    sample = SampleRequests.of(load_config(CONFIG), home)
    return [
        json.dumps({"user_id": f"u-{number:06d}", "k": 1, "context": sample.context(number)}).encode()
        for number in range(_BODIES)
    ]


def token_counts(config: PipelineConfig, home: Path) -> NDArray[np.int64]:
    """Return the tokens of sample requests with a random item each, (R,), as the text model reads them."""
    roots = [home / model.artifact for model in config.models.values()]
    root = next(root for root in roots if Artifact.read(root).signature.pair is not None)
    signature, sample = Artifact.read(root).signature, SampleRequests.of(config, home)
    assert signature.pair is not None
    catalogue = Catalogue.open(settled(home / config.catalogue))
    query = signature.pair.query.removeprefix("context.")
    queries = [sample.context(number)[query] for number in range(_BODIES)]
    rows = np.random.default_rng(0).integers(0, len(catalogue), (_BODIES, 1))
    batch = batch_of(QuerySet(queries, rows, np.zeros(rows.shape, np.float32)))
    mask = next(spec.name for spec in signature.inputs if spec.source == "tokens.mask")
    calls = PairScorer(root, signature, catalogue, TextConfig()).micro_batches(batch)
    counts: NDArray[np.int64] = np.concatenate([call.inputs[mask].sum(axis=1) for call in calls])
    return counts


def measure(home: Path, seconds: float) -> tuple[Cell, Cell]:
    """Serve the pipeline, and return the figures at the peak and at 70% of it."""
    requests = bodies(home)
    with service(CONFIG) as server:
        measure_cell(server, PEAK, requests, min(seconds, _WARM_UP_S), 0.0)
        peak = measure_quietly(
            lambda: measure_cell(server, PEAK, requests, seconds, 0.0), _ATTEMPTS, _PAUSE_S
        )
        rate = peak.load.rps
        opened = measure_quietly(
            lambda: measure_cell(server, SHARE, requests, seconds, rate), _ATTEMPTS, _PAUSE_S
        )
        return peak, opened


def summary(cells: Sequence[tuple[Cell, Cell]]) -> dict[str, Any]:
    """Return the medians over repeats, with the smallest and the largest value."""
    figures: dict[str, Any] = {}
    for load, side in ((PEAK, 0), (SHARE, 1)):
        own = [pair[side] for pair in cells]
        columns = {
            "rps": [cell.load.rps for cell in own],
            "p50_ms": [cell.load.p50_ms for cell in own],
            "p99_ms": [cell.load.p99_ms for cell in own],
            "core_ms": [sum(cell.core_ms.values()) for cell in own],
            "degraded": [float(cell.batches.degraded) for cell in own],
            "foreign_cores": [cell.foreign_cores for cell in own],
        }
        statuses = [dict(cell.load.statuses) for cell in own]
        figures[load.label] = {n: [median(v), min(v), max(v)] for n, v in columns.items()} | {
            "statuses": statuses
        }
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.bert.served", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of a window")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--make", action="store_true", help="write the pipeline's artifact, and do not measure"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    home = home_directory()
    artifact = write_served(home)
    if options.make:
        return 0
    cells = []
    for number in range(options.repeats):
        say(f"repeat {number + 1} of {options.repeats}")
        cells.append(measure(home, options.seconds))
        say(json.dumps(summary(cells[-1:])))
    tokens = distribution_of(token_counts(load_config(CONFIG), home))
    figures = {
        **machine(),
        "model": artifact.version,
        "weights": "random",
        "tokens": tokens,
        "loads": summary(cells),
    }
    if options.json:
        json.dump(figures, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(f"tokens in a request: {shown(tokens)}; random weights\n")
    for label, row in figures["loads"].items():
        sys.stdout.write(f"{label}: {row['statuses']}\n")
        for name, (middle, low, high) in ((n, v) for n, v in row.items() if n != "statuses"):
            sys.stdout.write(f"  {name:<14} {middle:>8.2f} ({low:.2f}-{high:.2f})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
