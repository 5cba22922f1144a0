"""The recommended models: the fastest ones whose loss of quality is within a bound."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.compress.report.pareto import Point

LOSSES = (0.001, 0.01, 0.05)
"""The losses of quality for which the report names models."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The fastest accepted models within a loss of quality.

    Attributes:
        loss: the bound, as a share of the original's quality.
        within: the fastest model whose whole 95% interval is within the bound. The original always is.
        maybe: a model that is faster still, whose loss is within the bound, and whose interval is not. More lists
            could show which it is. None if there is none.
    """

    loss: float
    within: Point | None
    maybe: Point | None


def choices(found: Sequence[Point]) -> list[Choice]:
    """Return a choice for each of ``LOSSES``."""
    return [choice_within(found, loss) for loss in LOSSES]


def choice_within(found: Sequence[Point], loss: float) -> Choice:
    """Return the fastest models that lose at most ``loss``."""
    accepted = [point for point in found if point.is_accepted]
    within = _fastest([point for point in accepted if point.largest_loss <= loss])
    maybe = _fastest([point for point in accepted if point.loss <= loss])
    is_faster = maybe is not None and (within is None or maybe.speedup > within.speedup)
    return Choice(loss, within, maybe if is_faster else None)


def _fastest(points: Sequence[Point]) -> Point | None:
    return max(points, key=lambda point: point.speedup, default=None)
