"""The processes of a shard group's other ranks: how a group starts them, and plain ones on this machine."""

import multiprocessing
from multiprocessing.process import BaseProcess
from typing import Protocol

from services.sharding.commands import RankSpec
from services.sharding.follower import follow


class RankLauncher(Protocol):
    """Starts and ends the processes of all ranks but the first."""

    def start(self, spec: RankSpec) -> None:
        """Start ranks 1 and up of the group; return before they have joined."""
        ...

    def kill(self) -> None:
        """End those that still run, whatever they do."""
        ...


class ProcessLauncher:
    """Plain processes: for a service without Ray, benchmarks and tests."""

    def __init__(self) -> None:
        """Start none yet."""
        self.started: list[BaseProcess] = []

    def start(self, spec: RankSpec) -> None:
        """Start ranks 1 and up."""
        context = multiprocessing.get_context("spawn")
        for rank in range(1, spec.size):
            process = context.Process(target=follow, args=(spec.for_rank(rank), spec.host), daemon=True)
            process.start()
            self.started.append(process)

    def kill(self) -> None:
        """End those that still run."""
        for process in self.started:
            process.kill()
        for process in self.started:
            process.join()
