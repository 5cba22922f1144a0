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
"""Rounds for each number of candidates, after a warm-up of one round. The order of the models changes each round.

In a round all models begin with the same request, and in the next round with another one. So a slow model, which
executes few requests in a round, executes others in the next round.
"""


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
        rounds: the times of each round, in ms, by number of candidates. In a round the requests are executed in turn.
        requests: how many different requests there are, by number of candidates.
    """

    rounds: Mapping[int, Sequence[Sequence[float]]]
    requests: Mapping[int, int]
    memory: Memory

    def percentile_ms(self, candidates: int, share: float) -> float:
        """Return a percentile of all times, ``share`` from 0 to 100."""
        return float(np.percentile(np.concatenate(self.rounds[candidates]), share))

    def calls(self, candidates: int) -> int:
        """Return the number of measured requests."""
        return sum(map(len, self.rounds[candidates]))

    def ratios(self, other: "Times", candidates: int) -> list[float]:
        """Return how many times as fast as another model this one is, for each round.

        A slow model executes fewer requests in a round. Only those that both models executed are compared.
        """
        pairs, ratios = zip(other.rounds[candidates], self.rounds[candidates], strict=True), []
        for theirs, own in pairs:
            shared = min(len(theirs), len(own), self.requests[candidates])
            ratios.append(
                median(self._first(candidates, shared, theirs)) / median(self._first(candidates, shared, own))
            )
        return ratios

    def _first(self, candidates: int, shared: int, times: Sequence[float]) -> list[float]:
        """Return the times of the first ``shared`` requests of a round, each as often as it was executed."""
        return [ms for number, ms in enumerate(times) if number % self.requests[candidates] < shared]


def time_sides(
    sides: Mapping[str, Side], seconds: float, progress: Callable[[int, int], None]
) -> dict[str, Times]:
    """Time models in one run, each in a process of its own. Only one process computes at a time.

    Args:
        sides: the models by name. Each has the same requests, in its own form.
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
        requests = {count: len(calls) for count, calls in next(iter(sides.values())).requests.items()}
        for index, count in enumerate(counts):
            for name, worker in workers.items():
                worker.times_ms(count, seconds / ROUNDS)
                rounds[name][count] = []
            for number in range(ROUNDS):
                turn, first = number % len(names), number * requests[count] // ROUNDS
                for name in (*names[turn:], *names[:turn]):
                    rounds[name][count].append(workers[name].times_ms(count, seconds / ROUNDS, first))
                progress(index * ROUNDS + number + 1, len(counts) * ROUNDS)
        return {name: Times(rounds[name], requests, worker.memory()) for name, worker in workers.items()}
