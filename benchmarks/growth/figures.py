"""A chart's figures in a JSON file. Each point is added when it is measured, so an interrupted run continues."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.growth.bends import Bend, Polynomial, Rise, bend_of, polynomial_of, rise_of
from benchmarks.growth.chart import Chart, Values
from benchmarks.harness.meters.machine import machine
from models.durable import replacing

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


class Figures:
    """The measured points of one chart.

    Attributes:
        points: the figures of each point, ascending.
    """

    def __init__(
        self,
        chart: Chart,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        again: bool = False,
        any_machine: bool = False,
    ) -> None:
        """Read the points that were measured before with the same settings on the same processor.

        Args:
            chart: the chart.
            folder: the folder of the file.
            settings: the settings of the run.
            again: forget earlier points.
            any_machine: read the points of another processor or of other settings too.
        """
        self.chart, self.path = chart, folder / f"{chart.name}.json"
        self.machine = machine() | {"caches": caches()}
        self.settings = dict(settings)
        self.points: dict[int, dict[str, float]] = {}
        earlier = {} if again or not self.path.exists() else json.loads(self.path.read_text(encoding="utf-8"))
        if any_machine and earlier:
            self.machine, self.settings = earlier["machine"], earlier["settings"]
        if earlier.get("settings") == self.settings and earlier.get("machine") == self.machine:
            self.points = {int(x): values for x, values in earlier["points"].items()}

    @property
    def missing(self) -> list[int]:
        """The points that are not measured yet."""
        return [x for x in self.chart.xs if x not in self.points]

    def add(self, x: int, values: Values) -> None:
        """Add a point, and write the file."""
        self.points[x] = {name: float(f"{value:.5g}") for name, value in values.items()}
        self.points = dict(sorted(self.points.items()))
        self.write()

    def write(self) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as file:
            file.write(json.dumps(self.document(), indent=1).encode() + b"\n")

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """Return a series' points and values. A point may lack a series that did not fit the machine."""
        xs = [x for x, values in self.points.items() if name in values]
        return xs, [self.points[x][name] for x in xs]

    def document(self) -> dict[str, Any]:
        """Return everything as plain data, with the bends and the extrapolated values."""
        bends: dict[str, Any] = {}
        rises: dict[str, Any] = {}
        beyond: dict[str, Any] = {}
        for panel in self.chart.panels:
            if panel.bend_of is not None:
                bend = self.bend(panel.bend_of)
                bends[panel.bend_of] = None if bend is None else asdict(bend)
            if panel.rise_of is not None:
                rise = self.rise(panel.rise_of)
                rises[panel.rise_of] = None if rise is None else asdict(rise)
            if panel.extrapolate_to is not None:
                beyond |= {name: self.extrapolated(name, panel.extrapolate_to) for name in panel.series}
        return {
            "chart": self.chart.name,
            "machine": self.machine,
            "settings": self.settings,
            "points": {str(x): values for x, values in self.points.items()},
            "bends": bends,
            "rises": rises,
            "extrapolated": {name: each for name, each in beyond.items() if each is not None},
        }

    def bend(self, name: str) -> Bend | None:
        """Return a series' bend, or None if it has none."""
        return bend_of(*self.series(name))

    def rise(self, name: str) -> Rise | None:
        """Return a series' rise, or None if it has none."""
        return rise_of(*self.series(name))

    def fit(self, name: str) -> Polynomial | None:
        """Return a series' fit, or None if there are too few points."""
        xs, ys = self.series(name)
        return None if len(xs) < 3 or min(ys) <= 0 else polynomial_of(xs, ys)

    def extrapolated(self, name: str, to: int) -> dict[str, float] | None:
        """Return a series' value at ``to`` by its fit, or None if there are too few points."""
        fit = self.fit(name)
        return None if fit is None else {"to": to, "value": float(f"{fit(to):.3g}"), **asdict(fit)}


def caches() -> dict[str, str]:
    """Return the sizes of one core's data caches, such as {"L1": "48K"}."""
    found = {}
    for index in sorted(_CACHES.glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found
