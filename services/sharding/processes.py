"""The processes of a shard group's other ranks, however they are started; here as plain ones of this machine."""

import multiprocessing
from multiprocessing.process import BaseProcess
from typing import Protocol

from services.sharding.commands import Place
from services.sharding.follower import follow


class Others(Protocol):
    """The other ranks' processes."""

    def start(self, place: Place) -> None:
        """Start ranks 1 and up of the place's group; come back before they have joined."""
        ...

    def kill(self) -> None:
        """End those that still run, whatever they do."""
        ...


class Processes:
    """Plain processes: for a service without Ray, benchmarks and tests."""

    def __init__(self) -> None:
        """Start none yet."""
        self.started: list[BaseProcess] = []

    def start(self, place: Place) -> None:
        """Start ranks 1 and up."""
        context = multiprocessing.get_context("spawn")
        for rank in range(1, place.size):
            process = context.Process(target=follow, args=(place.of(rank), place.host), daemon=True)
            process.start()
            self.started.append(process)

    def kill(self) -> None:
        """End those that still run."""
        for process in self.started:
            process.kill()
        for process in self.started:
            process.join()
