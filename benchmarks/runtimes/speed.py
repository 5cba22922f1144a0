"""The time of one request's calls, with all sides in turns."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from models.runtimes.base import Runtime
from models.signature import Inputs

REFERENCE = "onnx"
_FEWEST_ROUNDS = 2
_MOST_CALLS = 4
"""The most calls of a request that are executed. A text ranker has more. Their time is then multiplied."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to measure.

    Attributes:
        rounds: rounds in which every side is timed.
        window_s: how long a side is called in a round. It is called at least once.
        limit_s: after this time no further round begins.
    """

    rounds: int = 9
    window_s: float = 0.02
    limit_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Speed:
    """The time of a request in one side.

    Attributes:
        p50_ms: the median of the rounds' medians.
        of_onnx: the median of the rounds' ratios to ONNX Runtime. Above 1 is slower. NaN without ONNX Runtime.
        spread: (largest - smallest) / median of these ratios.
    """

    side: str
    candidates: int
    p50_ms: float
    of_onnx: float
    spread: float
    rounds: int


def time_sides(
    runtimes: Mapping[str, Runtime], candidates: int, ring: Sequence[Sequence[Inputs]], budget: Budget
) -> list[Speed]:
    """Time all sides on the same requests, in turns.

    Args:
        runtimes: by side.
        candidates: candidates in a request.
        ring: the requests, each with its calls.
        budget: how long to measure.
    """
    times: dict[str, list[float]] = {side: [] for side in runtimes}
    order, ends_s = list(runtimes), 0.0
    for number in range(-1, budget.rounds):  # the first round is a warm-up
        if number == 0:
            ends_s = time.perf_counter() + budget.limit_s
        if number >= _FEWEST_ROUNDS and time.perf_counter() > ends_s:
            break
        turn = number % len(order)
        for side in (*order[turn:], *order[:turn]):
            took_ms = _p50_ms(runtimes[side], ring, budget.window_s)
            if number >= 0:
                times[side].append(took_ms)
    return [_speed(side, candidates, each, times.get(REFERENCE)) for side, each in times.items()]


def _p50_ms(runtime: Runtime, ring: Sequence[Sequence[Inputs]], window_s: float) -> float:
    times: list[float] = []
    started_s = time.perf_counter()
    while not times or time.perf_counter() - started_s < window_s:
        calls = ring[len(times) % len(ring)]
        some = calls[:: -(-len(calls) // _MOST_CALLS)]  # evenly spaced, because they are sorted by length
        call_s = time.perf_counter()
        for inputs in some:
            runtime.run(inputs)
        times.append((time.perf_counter() - call_s) * 1e3 * len(calls) / len(some))
    return median(times)


def _speed(side: str, candidates: int, times: list[float], reference: list[float] | None) -> Speed:
    ratios = [1.0] if reference is None else [a / b for a, b in zip(times, reference, strict=True)]
    middle = median(ratios)
    return Speed(
        side,
        candidates,
        median(times),
        float("nan") if reference is None else middle,
        (max(ratios) - min(ratios)) / middle,
        len(times),
    )
