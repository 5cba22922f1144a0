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
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.cases.sharding_models import CASES, Case
from benchmarks.harness.meters.machine import machine
from models.runtimes import load_rank_runtime
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.pipeline.messages import Messages
from models.runtimes.pipeline.runtime import PipelineRuntime
from services.paths import home_directory
from services.sharding.collectives import Collectives
from services.sharding.commands import RankSpec

_HOST = "127.0.0.1"
_LIMIT_S = 60.0
_WARM_UPS = 2
_MS = 1e6


@dataclass
class Events:
    """One rank's events during a batch, in nanoseconds.

    Attributes:
        start: the batch's start.
        end: the batch's end.
        messages: (is a send, start, end) for each message.
    """

    start: int = 0
    end: int = 0
    messages: list[tuple[bool, int, int]] = field(default_factory=list)

    def computing(self) -> list[tuple[int, int]]:
        """Return the spans in which the rank computes: those before a send, and those after a receive."""
        spans = []
        before, is_send_before = self.start, True
        for is_send, start, end in self.messages:
            if is_send or not is_send_before:
                spans.append((before, start))
            before, is_send_before = end, is_send
        return spans


class RecordedMessages:
    """Messages whose times are recorded."""

    def __init__(self, messages: Messages) -> None:
        """Record the use of ``messages``."""
        self._messages = messages
        self.events = Events()

    def expect(self, counts: Sequence[int]) -> None:
        """Pass on the announcement."""
        self._messages.expect(counts)

    def send(self, values: Tensor | None, count: int, failed: int) -> None:
        """Send and record a message."""
        start = time.monotonic_ns()
        self._messages.send(values, count, failed)
        self.events.messages.append((True, start, time.monotonic_ns()))

    def receive(self) -> tuple[Tensor, int]:
        """Receive and record a message."""
        start = time.monotonic_ns()
        received = self._messages.receive()
        self.events.messages.append((False, start, time.monotonic_ns()))
        return received

    def finish(self) -> None:
        """Wait until all messages are sent."""
        self._messages.finish()


@dataclass(frozen=True, slots=True)
class RankTimes:
    """Where one rank's time goes in a batch, in milliseconds.

    Attributes:
        computing: in the model.
        waiting: for another rank that still computes.
        moving: sending activations, and receiving those that another rank has computed.
        steps: number of stages executed, each with one part of the batch.
    """

    computing: float
    waiting: float
    moving: float
    steps: int


def rank_times(ranks: Sequence[Events]) -> list[RankTimes]:
    """Return where each rank's time goes, given all ranks' events for the same batch."""
    times = []
    for rank, own in enumerate(ranks):
        sent = [start for is_send, start, _ in ranks[rank - 1].messages if is_send]
        received = [(start, end) for is_send, start, end in own.messages if not is_send]
        waiting = sum(
            min(end, max(start, ready)) - start for (start, end), ready in zip(received, sent, strict=True)
        )
        spans = own.computing()
        computing = sum(end - start for start, end in spans)
        moving = sum(end - start for _, start, end in own.messages) - waiting
        times.append(RankTimes(computing / _MS, waiting / _MS, moving / _MS, len(spans)))
    return times


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
    config = AccelerateConfig(
        kind="accelerate", shards=options.ranks, micro_batches=options.micro_batches, timeout_s=_LIMIT_S
    )
    with tempfile.TemporaryDirectory() as folder:
        case = CASES[options.case](home_directory(), Path(folder))
        batches = record(case, config, options.runs)
    batch = batches[len(batches) // 2]
    durations = [(ranks[0].end - ranks[0].start) / _MS for ranks in batches]
    report: dict[str, Any] = {
        "model": case.name,
        "machine": machine(),
        "ms": [round(durations[0], 2), round(durations[len(batches) // 2], 2), round(durations[-1], 2)],
        "ranks": [asdict(each) for each in rank_times(batch)],
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
