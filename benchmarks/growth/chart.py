"""The description of a growth chart: what is varied, which series are measured, and how they are drawn."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Values = Mapping[str, float]
"""The figures at one point, by series."""
Points = Generator[tuple[int, Values], None, None]
Measure = Callable[[Sequence[int], Mapping[str, Any]], Points]
"""Measures points in ascending order. The second argument has the settings, by name. Closing it cleans up."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot of a chart.

    Attributes:
        y_label: the quantity and its unit.
        series: the names of the series that are drawn.
        bend_of: the series whose bend is computed and marked.
        rise_of: the series whose rise from one level to another is computed and marked.
        scale: ``log`` for both axes, ``linear`` for a vertical axis from 0.
        extrapolate_to: the series are continued up to here by a fit, and drawn as such.
    """

    y_label: str
    series: tuple[str, ...]
    bend_of: str | None = None
    rise_of: str | None = None
    scale: Literal["log", "linear"] = "log"
    extrapolate_to: int | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: a quantity that grows, and what is measured against it.

    Attributes:
        name: the command's argument, and the name of the files.
        title: what the chart shows, and how it was obtained if it was not measured.
        xs: the points.
        measure: measures some of these points.
        settings: the defaults of the settings that ``measure`` reads. They are recorded with the figures.
    """

    name: str
    title: str
    x_label: str
    xs: tuple[int, ...]
    panels: tuple[Panel, ...]
    measure: Measure
    settings: Mapping[str, Any]
