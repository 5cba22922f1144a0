"""Measures rungs in alternating rounds, and compares each with the first rung of its round."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.bert.processes import Running, running
from benchmarks.bert.rungs import Rung
from benchmarks.bert.worker import Window
from benchmarks.harness.meters.processes import machine_busy_s

DISTURBED_CORES = 0.15
"""A window is measured again if other processes keep more cores busy. PyTorch threads wait for each other actively."""
_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to measure.

    Attributes:
        rounds: rounds in which every rung is measured once.
        window_s: how long a rung runs in a round.
    """

    rounds: int
    window_s: float


@dataclass(slots=True)
class Measured:
    """A rung's windows.

    Attributes:
        rps: requests per second over all workers, by round.
        gains: rps over that of the first rung in the same round.
        foreign_cores: cores that other processes kept busy, by round.
        agreement: correlation of its scores with those of the same model in fp32. NaN for the first model.
    """

    rung: Rung
    rps: list[float] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    foreign_cores: list[float] = field(default_factory=list)
    agreement: float = float("nan")
    slots: int = 0
    tokens: int = 0
    hits: int = 0

    def add(self, windows: Sequence[Window], foreign_cores: float) -> None:
        """Add a round."""
        self.foreign_cores.append(foreign_cores)
        self.rps.append(sum(len(window.latencies_ms) / window.seconds for window in windows))
        for window in windows:
            self.latencies_ms += window.latencies_ms
            self.slots += window.slots
            self.tokens += window.tokens
            self.hits += window.hits

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the requests' times in their calls."""
        return float(np.percentile(self.latencies_ms, percent))

    @property
    def gain(self) -> float:
        """The median gain."""
        return median(self.gains)


def measure(
    rungs: Sequence[Rung], mix: Path, models: Path, budget: Budget, say: Callable[[str], None]
) -> list[Measured]:
    """Measure rungs in alternating rounds.

    All processes stay for all rounds. Those that do not run wait for their standard input. The first round warms up.

    Args:
        rungs: the rungs. Gains are relative to the first.
        mix: file with the requests.
        models: the folder of the artifacts.
        budget: how long to measure.
        say: called with the progress.
    """
    measured = [Measured(rung) for rung in rungs]
    with ExitStack() as stack:
        say(f"starting {', '.join(rung.name for rung in rungs)}")
        sides = [stack.enter_context(running(rung, mix, models)) for rung in rungs]
        for side in sides:
            side.wait()
        scores = [side.scores() for side in sides]  # one after the other, because their threads would compete
        for index, each in enumerate(measured):
            each.agreement = _agreement(index, rungs, scores)
        for number in range(budget.rounds + 1):
            say(f"round {number} of {budget.rounds}")
            for index in np.roll(np.arange(len(sides)), -number).tolist():
                windows, foreign_cores = _quiet_window(
                    sides[index], budget.window_s, 1 + _REPEATS * (number > 0)
                )
                if number > 0:
                    measured[index].add(windows, foreign_cores)
    for each in measured:
        each.gains = [own / first for own, first in zip(each.rps, measured[0].rps, strict=True)]
        say(f"{each.rung.name}: {median(each.rps):.1f} requests/s, {each.gain:.2f} times the first rung")
    return measured


def _quiet_window(side: Running, seconds: float, attempts: int) -> tuple[list[Window], float]:
    """Measure windows until other processes do not disturb one. Return the least disturbed, with their busy cores."""
    found: list[tuple[list[Window], float]] = []
    while not found or (found[-1][1] > DISTURBED_CORES and len(found) < attempts):
        busy_s, started_s = machine_busy_s(), time.perf_counter()
        windows = side.run(seconds)
        own_s = sum(window.cpu_s for window in windows)
        foreign_s = machine_busy_s() - busy_s - own_s
        found.append((windows, foreign_s / (time.perf_counter() - started_s)))
    return min(found, key=lambda each: each[1])


def _agreement(index: int, rungs: Sequence[Rung], scores: Sequence[NDArray[np.float64]]) -> float:
    """Return the correlation with the first rung that executes the same layers in fp32."""
    depth = rungs[index].artifact.split("-")[0]
    exact = next(
        (i for i, rung in enumerate(rungs) if rung.engine == "torch" and rung.artifact == depth), index
    )
    if exact == index:
        return float("nan")
    return float(np.corrcoef(scores[exact], scores[index])[0, 1])
