"""Pareto fronts over cost and misses, and the choice of configurations from such fronts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscale.config import AutoscalingConfig
from autoscale.tuner.trials import Score

_USELESS = 5.0


@dataclass(frozen=True, slots=True)
class JudgedConfig:
    """A configuration with its cost and misses on the whole trace.

    Attributes:
        number: its trial's number.
        config: the configuration.
        cost: total cost.
        misses: share of requests that missed the objective.
    """

    number: int
    config: AutoscalingConfig
    cost: float
    misses: float


def front(candidates: Sequence[JudgedConfig]) -> tuple[JudgedConfig, ...]:
    """Return the configurations that no other beats in both cost and misses, the cheapest first."""
    ordered = sorted(candidates, key=lambda config: (config.cost, config.misses))
    results: list[JudgedConfig] = []
    for candidate in ordered:
        if not results or candidate.misses < results[-1].misses:
            results.append(candidate)
    return tuple(results)


def chosen(candidates: Sequence[JudgedConfig], max_misses: float) -> JudgedConfig:
    """Return the cheapest configuration with at most ``max_misses``, or the one with the fewest misses if none has."""
    within = [candidate for candidate in candidates if candidate.misses <= max_misses]
    if within:
        return min(within, key=lambda config: (config.cost, config.misses))
    return min(candidates, key=lambda config: (config.misses, config.cost))


def best(scores: Mapping[int, Score], count: int, max_misses: float) -> list[int]:
    """Return the trial numbers of the ``count`` best scores.

    They are ordered front by front. Within a front, trials with at most ``max_misses`` come first, ordered by cost.
    Trials with many times ``max_misses`` come last, because they are cheap but useless.
    """
    useful = {number: score for number, score in scores.items() if score[1] <= _USELESS * max_misses}
    rest = {number: score for number, score in scores.items() if number not in useful}
    return [*_by_fronts(useful, max_misses), *_by_fronts(rest, max_misses)][:count]


def _by_fronts(scores: Mapping[int, Score], max_misses: float) -> list[int]:
    remaining, ordered = dict(scores), list[int]()
    while remaining:
        least, layer = float("inf"), []
        for number in sorted(remaining, key=lambda number: remaining[number]):
            if remaining[number][1] < least:
                least = remaining[number][1]
                layer.append(number)
        layer.sort(key=lambda number: (max(0.0, remaining[number][1] - max_misses), remaining[number][0]))
        ordered += layer
        for number in layer:
            del remaining[number]
    return ordered
