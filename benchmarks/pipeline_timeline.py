"""A timeline of a pipeline of ranks: when each rank computes, waits for another rank, and moves activations.

    python -m benchmarks.pipeline_timeline [--case bert] [--ranks 2] [--micro-batches 4] [--runs 9] [--svg FILE]

Each rank records the start and end of each message with ``time.monotonic_ns``, a clock that all processes on a Linux
machine share. A rank computes between its messages. The median run by its duration is reported.
"""

import argparse
import json
import multiprocessing
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.cases.sharding_models import CASES, Case
from benchmarks.harness.meters.machine import machine
from benchmarks.shards.drawing import drawing
from benchmarks.shards.events import MS, Events, RecordedMessages, rank_times
from models.runtimes import load_rank_runtime
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.pipeline.runtime import PipelineRuntime
from services.paths import home_directory
from services.sharding.collectives import Collectives
from services.sharding.commands import RankSpec

_HOST = "127.0.0.1"
_LIMIT_S = 60.0
_WARM_UPS = 2


def record(case: Case, config: AccelerateConfig, runs: int) -> list[list[Events]]:
    """Return each run's events at each rank, sorted by the run's duration."""
    with socket.create_server((_HOST, 0)) as listener:
        spec = RankSpec(
            rank=0,
            size=config.shards,
            host=_HOST,
            store_port=int(listener.getsockname()[1]),
            heartbeat_port=0,
            token=secrets.token_bytes(16),
            pid=os.getpid(),
            timeout_s=_LIMIT_S,
            transport=config.transport,
        )
        context = multiprocessing.get_context("spawn")
        pipes, processes = [], []
        for rank in range(config.shards):
            ours, theirs = context.Pipe()
            arguments = (spec.for_rank(rank), case, config, runs, theirs, None if rank else listener)
            process = context.Process(target=_run_rank, args=arguments, daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
    try:
        by_rank: list[list[Events]] = [pipe.recv() for pipe in pipes]
    finally:
        for process in processes:
            process.join(_LIMIT_S)
            process.kill()
    batches = [list(each) for each in zip(*by_rank, strict=True)]
    return sorted(batches, key=lambda ranks: ranks[0].end - ranks[0].start)


def _run_rank(
    spec: RankSpec,
    case: Case,
    config: AccelerateConfig,
    runs: int,
    pipe: Connection,
    listener: socket.socket | None,
) -> None:
    collectives = Collectives(spec, _HOST, None if listener is None else listener.detach())
    runtime = load_rank_runtime(case.root, case.artifact, config, collectives.model_group)
    assert isinstance(runtime, PipelineRuntime)
    recorded = RecordedMessages(runtime.messages)
    runtime.messages = recorded
    inputs = case.inputs(case.shapes[0])
    batches = []
    for _ in range(runs + _WARM_UPS):
        recorded.events = Events()
        collectives.agree()  # so that the ranks start together
        recorded.events.start = time.monotonic_ns()
        runtime.run(inputs)
        recorded.events.end = time.monotonic_ns()
        batches.append(recorded.events)
    pipe.send(batches[_WARM_UPS:])
    collectives.agree()
    collectives.leave()


def summary(case: Case, ranks: int, micro_batches: int, runs: int) -> dict[str, Any]:
    """Return the shortest, median and longest time of a batch, and where each rank's time goes in the median run."""
    config = AccelerateConfig(
        kind="accelerate", shards=ranks, micro_batches=micro_batches, timeout_s=_LIMIT_S
    )
    return _summary(record(case, config, runs))


def _summary(batches: Sequence[Sequence[Events]]) -> dict[str, Any]:
    times = [(ranks[0].end - ranks[0].start) / MS for ranks in batches]
    return {
        "shortest_median_longest_ms": [
            round(each, 2) for each in (times[0], times[len(times) // 2], times[-1])
        ],
        "ranks_ms": [each.rounded() for each in rank_times(batches[len(batches) // 2])],
    }


def main() -> None:
    """Record batches and print where the time goes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=list(CASES), default="bert")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--micro-batches", type=int, default=4)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        case = CASES[options.case](home_directory(), Path(folder))
        config = AccelerateConfig(
            kind="accelerate", shards=options.ranks, micro_batches=options.micro_batches, timeout_s=_LIMIT_S
        )
        batches = record(case, config, options.runs)
    if options.svg is not None:
        options.svg.write_text(drawing(case.name, batches[len(batches) // 2]))
    report = {"model": case.name, "machine": machine(), **_summary(batches)}
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
