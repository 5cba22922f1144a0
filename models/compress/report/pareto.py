"""The Pareto front: the accepted models of which no other is both faster and better."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.compress.rows import Result, Row


@dataclass(frozen=True, slots=True)
class Point:
    """A measured model.

    Attributes:
        number: the row's number in the table. The original has 0.
        speedup: how many times as fast as the original, with the deciding number of candidates.
        loss: the loss of quality as a share of the original's. Below 0 is a gain.
        smallest_loss: the lower end of its 95% interval.
        largest_loss: the upper end.
    """

    number: int
    row: Row
    speedup: float
    loss: float
    smallest_loss: float
    largest_loss: float

    @property
    def is_accepted(self) -> bool:
        """Whether the gate accepted it."""
        return self.row.state == "accepted"


def points(result: Result) -> list[Point]:
    """Return a point for each model that could be measured, the original first."""
    found = []
    for number, row in enumerate(result.rows):
        figures = row.figures
        if figures is not None and figures.latencies and figures.change_of_original is not None:
            change = figures.change_of_original
            losses = [0.0 - share for share in (change.value, change.high, change.low)]
            found.append(Point(number, row, figures.deciding.of_original, *losses))
    return found


def front(found: Sequence[Point]) -> list[Point]:
    """Return the accepted points that no accepted point beats, the slowest first.

    A point is beaten by one that is at least as fast and loses at most as much, and is better in one of the two.
    """
    best = sorted(
        (point for point in found if point.is_accepted), key=lambda point: (-point.speedup, point.loss)
    )
    kept: list[Point] = []
    for point in best:
        if not kept or point.loss < kept[-1].loss:
            kept.append(point)
    return kept[::-1]
