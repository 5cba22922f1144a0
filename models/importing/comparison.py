"""Compare the speed of runtimes that can load the same model."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from models.artifact import MeasuredRuntime
from models.errors import ArtifactError
from models.runtimes.base import Runtime

SIZES = (1, 32, 200, 1000)
_ROUNDS = 9
_ROUND_S = 0.005
"""Seconds in which each runtime is called again and again in a round. It is called at least once."""
_CLEAR = 0.95
"""A tree library is chosen only if it takes at most this share of ONNX Runtime's time."""
_EXCEPTIONS = 1
"""Rounds in which the chosen library may be slower."""


@dataclass(frozen=True)
class Timing:
    """Times of one call.

    Attributes:
        times_ms: the mean time of each round.
    """

    kind: MeasuredRuntime
    rows: int
    times_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """The median of the rounds."""
        return median(self.times_ms)


@dataclass(frozen=True)
class Comparison:
    """Times by number of rows, and the fastest runtime at ``rows``."""

    timings: tuple[Timing, ...]
    fastest: MeasuredRuntime
    rows: int

    def medians(self) -> dict[str, dict[int, float]]:
        """Return the medians in ms, by kind and number of rows."""
        found: dict[str, dict[int, float]] = {}
        for timing in self.timings:
            found.setdefault(timing.kind, {})[timing.rows] = round(timing.median_ms, 4)
        return found

    def lines(self) -> list[str]:
        """Return a line for each number of rows, and one with the choice."""
        lines = []
        for rows in sorted({timing.rows for timing in self.timings}):
            here = [timing for timing in self.timings if timing.rows == rows]
            cells = [
                f"{t.kind} {t.median_ms:.3g} ({min(t.times_ms):.3g} to {max(t.times_ms):.3g})" for t in here
            ]
            lines.append(f"{rows:,} {'row' if rows == 1 else 'rows'}, ms: {', '.join(cells)}")
        medians = self.medians()
        others = ", ".join(
            f"{times[self.rows]:.3g} with {kind}" for kind, times in medians.items() if kind != self.fastest
        )
        return [
            *lines,
            f"chosen: {self.fastest}, {medians[self.fastest][self.rows]:.3g} ms for {self.rows:,} rows in one thread, "
            f"{others}",
        ]


def compared(
    runtimes: Mapping[MeasuredRuntime, Runtime], name: str, rows: NDArray[np.float32], candidates: int
) -> Comparison:
    """Measure runtimes in alternation, and choose one.

    ONNX Runtime is chosen unless another one is clearly faster.

    Args:
        runtimes: the loaded runtimes. The first one is ONNX Runtime.
        name: the input's name.
        rows: vectors of real requests, (N, F). They are repeated.
        candidates: candidates of one request. The choice is made at this number of rows.

    Raises:
        ArtifactError: there are no rows.
        RuntimeFailure: a runtime failed.
    """
    if not len(rows):
        raise ArtifactError("golden requests: expected candidates, got none; add items to the catalogue")
    timings = [
        timing for size in sorted({*SIZES, candidates}) for timing in _timings(runtimes, name, rows, size)
    ]
    onnx, *others = (timing for timing in timings if timing.rows == candidates)
    return Comparison(tuple(timings), fastest_of(onnx, others), candidates)


def fastest_of(onnx: Timing, others: Sequence[Timing]) -> MeasuredRuntime:
    """Return the runtime that is clearly faster than ONNX Runtime, or ONNX Runtime, which needs no further package."""
    clear = [timing for timing in others if _is_clearly_faster(timing, onnx)]
    return min(clear, key=lambda timing: timing.median_ms, default=onnx).kind


def _timings(
    runtimes: Mapping[MeasuredRuntime, Runtime], name: str, rows: NDArray[np.float32], size: int
) -> list[Timing]:
    inputs = {name: np.resize(rows, (size, rows.shape[1]))}
    times: dict[MeasuredRuntime, list[float]] = {kind: [] for kind in runtimes}
    for runtime in runtimes.values():
        runtime.run(inputs)
    for _ in range(_ROUNDS):
        for kind, runtime in runtimes.items():
            calls, started_s = 0, time.perf_counter()
            while not calls or time.perf_counter() - started_s < _ROUND_S:
                runtime.run(inputs)
                calls += 1
            times[kind].append((time.perf_counter() - started_s) * 1e3 / calls)
    return [Timing(kind, size, tuple(of_kind)) for kind, of_kind in times.items()]


def _is_clearly_faster(timing: Timing, onnx: Timing) -> bool:
    slower = sum(ours >= theirs for ours, theirs in zip(timing.times_ms, onnx.times_ms, strict=True))
    return timing.median_ms <= _CLEAR * onnx.median_ms and slower <= _EXCEPTIONS
