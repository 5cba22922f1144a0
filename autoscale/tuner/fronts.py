"""Pareto fronts of cost and misses: which configurations to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscale.config import AutoscalingConfig
from autoscale.tuner.trials import Score

_USELESS = 5.0


@dataclass(frozen=True, slots=True)
class JudgedConfig:
    """A configuration and what it cost and missed on the whole trace; number: of its trial."""

    number: int
    config: AutoscalingConfig
    cost: float
    misses: float


def front(candidates: Sequence[JudgedConfig]) -> tuple[JudgedConfig, ...]:
    """Return those that no other beats in cost and misses, the cheapest first."""
    ordered = sorted(candidates, key=lambda one: (one.cost, one.misses))
    kept: list[JudgedConfig] = []
    for candidate in ordered:
        if not kept or candidate.misses < kept[-1].misses:
            kept.append(candidate)
    return tuple(kept)


def chosen(candidates: Sequence[JudgedConfig], max_misses: float) -> JudgedConfig:
    """Return the cheapest that misses no more than that, or what misses least."""
    within = [candidate for candidate in candidates if candidate.misses <= max_misses]
    if within:
        return min(within, key=lambda one: (one.cost, one.misses))
    return min(candidates, key=lambda one: (one.misses, one.cost))


def best(scores: Mapping[int, Score], count: int, max_misses: float) -> list[int]:
    """Return the numbers of so many: front after front, and in each what is allowed first, then by cost.

    What misses many times what is allowed is cheap and of no use: it comes last, however little it costs.
    """
    useful = {number: score for number, score in scores.items() if score[1] <= _USELESS * max_misses}
    rest = {number: score for number, score in scores.items() if number not in useful}
    return [*_by_fronts(useful, max_misses), *_by_fronts(rest, max_misses)][:count]


def _by_fronts(scores: Mapping[int, Score], max_misses: float) -> list[int]:
    left, ordered = dict(scores), list[int]()
    while left:
        least, layer = float("inf"), []
        for number in sorted(left, key=lambda number: left[number]):
            if left[number][1] < least:
                least = left[number][1]
                layer.append(number)
        layer.sort(key=lambda number: (max(0.0, left[number][1] - max_misses), left[number][0]))
        ordered += layer
        for number in layer:
            del left[number]
    return ordered
