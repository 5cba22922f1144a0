"""The interface with which a group starts its other ranks, and its implementation with plain processes."""

import multiprocessing
from multiprocessing.process import BaseProcess
from typing import Protocol

from services.sharding.commands import RankSpec
from services.sharding.follower import follow


class RankLauncher(Protocol):
    """Starts and ends all ranks except rank 0."""

    def start(self, spec: RankSpec) -> None:
        """Start ranks 1 to ``spec.size - 1`` without waiting until they have joined."""
        ...

    def kill(self) -> None:
        """Kill the ranks that still run."""
        ...


class ProcessLauncher:
    """Starts ranks as plain processes on this machine: for services without Ray, benchmarks and tests.

    Attributes:
        started: the processes, in rank order.
    """

    def __init__(self) -> None:
        """Start no process yet."""
        self.started: list[BaseProcess] = []

    def start(self, spec: RankSpec) -> None:
        """Start all ranks except rank 0."""
        context = multiprocessing.get_context("spawn")
        for rank in range(1, spec.size):
            process = context.Process(target=follow, args=(spec.for_rank(rank), spec.host), daemon=True)
            process.start()
            self.started.append(process)

    def kill(self) -> None:
        """Kill the processes that still run, and wait until they have ended."""
        for process in self.started:
            process.kill()
        for process in self.started:
            process.join()
