"""Steps of the ladder through the service: ``configs/bert-billion.yaml`` at its peak and at 70% of it.

    python -m benchmarks.bert.served [--seconds 6] [--rounds 10] [--only NAME] [--make] [--json]

BERT-base and the 6 layers are served in PyTorch, and the 6 layers in int8 as in the pipeline. A request has one
candidate, as in the published workload: one text to score. Query and text are cut to 24 tokens together. That is the
median of the ladder's mix ``median 24``, but that mix has longer texts too. The output has the distribution.
``benchmarks/bert_ladder.py`` makes the models first.

The peak is a closed loop with 16 clients. After it, an open loop sends Poisson arrivals at 70% of that peak, and its
latencies count from the scheduled times. Both windows are short and take turns, because a machine's speed drifts: a
rate that was 70% a minute ago may be 100% now. A window that other processes disturb is measured again, at most twice.
The number of replicas is fixed: one for each core of this machine, on which the client runs too.
``cost_per_million`` is that of a node at its peak, at the price in the pipeline.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bert.mixes import distribution_of, shown
from benchmarks.bert.served_models import CONFIG, SERVED, Served, cost_per_million, pipeline_of, write_served
from benchmarks.harness.cells import Cell, Load, measure_cell
from benchmarks.harness.meters.machine import machine
from benchmarks.harness.quiet import measure_quietly, say
from benchmarks.harness.servers import service
from models.artifact import Artifact
from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.text.scorer import PairScorer, TextConfig
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.paths import home_directory
from services.profiling.sample_requests import SampleRequests
from walks.text.queries import QuerySet
from walks.text.query_lists import batch_of

PEAK, SHARE = Load(clients=16), Load(share=0.7)
_BODIES, _WARM_UP_S = 997, 5.0
_ATTEMPTS, _PAUSE_S = 3, 1.0


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


def measure(home: Path, served: Served, rounds: int, seconds: float) -> list[tuple[Cell, Cell]]:
    """Serve a model, and return the figures at the peak and at 70% of it, for each round.

    Args:
        home: the data home.
        served: the model.
        rounds: how many times each load is measured.
        seconds: length of a window at 70%. At the peak it is half as long.
    """
    requests = bodies(home)

    def cell(load: Load, seconds: float, peak_rps: float) -> Cell:
        return measure_quietly(
            lambda: measure_cell(server, load, requests, seconds, peak_rps), _ATTEMPTS, _PAUSE_S
        )

    cells = []
    with tempfile.TemporaryDirectory(prefix="rankway-bert-") as folder, ExitStack() as running:
        config = pipeline_of(served, Path(folder), os.cpu_count() or 1)
        server = running.enter_context(service(config))
        measure_cell(server, PEAK, requests, _WARM_UP_S, 0.0)
        for number in range(rounds):
            peak = cell(PEAK, seconds / 2, 0.0)
            cells.append((peak, cell(SHARE, seconds, peak.load.rps)))
            say(f"{served.name}: round {number + 1} of {rounds}: {json.dumps(summary(cells[-1:]))}")
    return cells


def summary(cells: Sequence[tuple[Cell, Cell]]) -> dict[str, Any]:
    """Return the medians over rounds, with the smallest and the largest value."""
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
    parser.add_argument("--seconds", type=float, default=6.0, help="of a window at 70%%")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", choices=[each.name for each in SERVED], help="the only model to measure")
    parser.add_argument("--make", action="store_true", help="write the artifacts, and do not measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    home, models = home_directory(), list[dict[str, Any]]()
    chosen = [each for each in SERVED if options.only in {None, each.name}]
    versions = [write_served(home, served).version for served in chosen]
    if options.make:
        return 0
    for served, version in zip(chosen, versions, strict=True):
        loads = summary(measure(home, served, options.rounds, options.seconds))
        cost = cost_per_million(loads[PEAK.label]["rps"][0], os.cpu_count() or 1)
        models.append({"name": served.name, "model": version, "loads": loads, "cost_per_million": cost})
    tokens = distribution_of(token_counts(load_config(CONFIG), home))
    figures = {**machine(), "weights": "random", "tokens": tokens, "models": models}
    if options.json:
        json.dump(figures, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(f"tokens in a request: {shown(tokens)}; random weights\n")
    for model in models:
        sys.stdout.write(
            f"{model['name']}: {model['cost_per_million']:.3g} per million requests at the peak\n"
        )
        for label, row in model["loads"].items():
            sys.stdout.write(f"  {label}: {row['statuses']}\n")
            for name, (middle, low, high) in ((n, v) for n, v in row.items() if n != "statuses"):
                sys.stdout.write(f"    {name:<14} {middle:>8.2f} ({low:.2f}-{high:.2f})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
