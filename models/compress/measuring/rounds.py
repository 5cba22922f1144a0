"""Times models against each other: the same requests, in rounds in which each model has a turn."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from models.compress.data.base import Call
from models.compress.measuring.worker import Memory, Worker
from models.runtimes.base import RuntimeOptions

ROUNDS = 8
"""Rounds for each number of candidates, after a warm-up of one round. The order of the models changes each round."""


@dataclass(frozen=True, slots=True)
class Side:
    """A model to measure: its artifact's folder, its runtime, and its requests by number of candidates."""

    root: Path
    config: RuntimeOptions
    requests: Mapping[int, Sequence[Call]]


@dataclass(frozen=True, slots=True)
class Times:
    """A model's times.

    Attributes:
        rounds: the times of each round, in ms, by number of candidates.
    """

    rounds: Mapping[int, Sequence[Sequence[float]]]
    memory: Memory

    def percentile_ms(self, candidates: int, share: float) -> float:
        """Return a percentile of all times, ``share`` from 0 to 100."""
        return float(np.percentile(np.concatenate(self.rounds[candidates]), share))

    def calls(self, candidates: int) -> int:
        """Return the number of measured requests."""
        return sum(map(len, self.rounds[candidates]))

    def ratios(self, other: "Times", candidates: int) -> list[float]:
        """Return how many times as fast as another model this one is, for each round."""
        pairs = zip(other.rounds[candidates], self.rounds[candidates], strict=True)
        return [median(theirs) / median(own) for theirs, own in pairs]


def time_sides(
    sides: Mapping[str, Side], seconds: float, progress: Callable[[int, int], None]
) -> dict[str, Times]:
    """Time models in one run, each in a process of its own. Only one process computes at a time.

    Args:
        sides: the models by name. Each has the same numbers of candidates.
        seconds: seconds in which a model is called, for each number of candidates.
        progress: called with the rounds that are done, and all rounds.

    Raises:
        SideFailure: a model cannot be loaded or executed.
    """
    names, counts = list(sides), list(next(iter(sides.values())).requests)
    rounds: dict[str, dict[int, list[list[float]]]] = {name: {} for name in names}
    with ExitStack() as processes:
        workers = {}
        for (
            name,
            side,
        ) in sides.items():  # one after the other, so that no load disturbs another's memory or time
            workers[name] = processes.enter_context(Worker(name, side.root, side.config, side.requests))
            workers[name].ready()
        for index, count in enumerate(counts):
            for name, worker in workers.items():
                worker.times_ms(count, seconds / ROUNDS)
                rounds[name][count] = []
            for number in range(ROUNDS):
                turn = number % len(names)
                for name in (*names[turn:], *names[:turn]):
                    rounds[name][count].append(workers[name].times_ms(count, seconds / ROUNDS))
                progress(index * ROUNDS + number + 1, len(counts) * ROUNDS)
        return {name: Times(rounds[name], worker.memory()) for name, worker in workers.items()}
