"""Places for the numbers beside the points of a chart, so that they cover neither each other nor a point."""

import math
from dataclasses import dataclass

_MARK = 4.5
"""Half the size of a point."""
_DIGIT, _LINE = 7.5, 11.0
"""The width of a digit and the height of a line."""
_RADII = (12.0, 19.0, 27.0, 36.0, 46.0, 58.0, 72.0)
_ANGLES = tuple(math.radians(angle) for angle in (-90, 90, -45, 45, -135, 135, 0, 180, -68, -112, 68, 112))
_NEAR = 20.0


@dataclass(frozen=True, slots=True)
class Label:
    """The middle of a number.

    Attributes:
        is_far: whether a line must join it with its point.
    """

    x: float
    y: float
    is_far: bool


class Places:
    """The free places in a rectangle."""

    def __init__(self, left: float, top: float, right: float, bottom: float) -> None:
        """Set the rectangle, in which nothing is taken."""
        self._bounds = left, top, right, bottom
        self._taken: list[tuple[float, float, float, float]] = []

    def take(self, left: float, top: float, right: float, bottom: float) -> None:
        """Keep a rectangle free of numbers."""
        self._taken.append((left, top, right, bottom))

    def take_mark(self, x: float, y: float) -> None:
        """Keep a point free of numbers."""
        self.take(x - _MARK, y - _MARK, x + _MARK, y + _MARK)

    def label(self, text: str, x: float, y: float) -> Label:
        """Take the nearest free place for the number of a point, or one above it if none is free."""
        wide, high = _DIGIT * len(text) / 2, _LINE / 2
        for radius in _RADII:
            for angle in _ANGLES:
                at = x + (radius + wide - _DIGIT / 2) * math.cos(angle), y + radius * math.sin(angle)
                box = at[0] - wide, at[1] - high, at[0] + wide, at[1] + high
                if self._is_free(box):
                    self.take(*box)
                    return Label(*at, is_far=radius > _NEAR)
        return Label(x, y - _RADII[0], is_far=False)

    def _is_free(self, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = self._bounds
        is_inside = left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom
        return is_inside and not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            for other in self._taken
        )
