"""Cost against size, one chart per call. Points that were measured before are kept, so a call may be interrupted.

    python -m benchmarks.growth candidates [--out build/growth] [--limit-s 80] [--again] [--draw] [--json]

The charts are ``candidates``, ``history``, ``catalogue``, ``users``, ``replicas`` and ``control-plane``. A call writes
``CHART.json`` and ``CHART.svg`` into the folder ``--out``. It begins no point after ``--limit-s`` seconds. Then the
exit code is 3, and the same command continues. ``--set NAME=NUMBER`` changes a setting, which the JSON file lists.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.growth import candidates, catalogue, control_plane, history, replicas, users
from benchmarks.growth.chart import Chart
from benchmarks.growth.drawing import draw
from benchmarks.growth.figures import Figures

CHARTS: Mapping[str, Chart] = {
    module.CHART.name: module.CHART
    for module in (candidates, history, catalogue, users, replicas, control_plane)
}
_UNFINISHED = 3


def measure(figures: Figures, limit_s: float) -> None:
    """Measure the missing points. Begin none after ``limit_s`` seconds."""
    started_s = time.monotonic()
    with closing(figures.chart.measure(figures.missing, figures.settings)) as points:
        for x, values in points:
            figures.add(x, values)
            sys.stderr.write(f"{figures.chart.name} {x}: {figures.points[x]}\n")
            if time.monotonic() - started_s > limit_s:
                return


def as_text(figures: Figures) -> str:
    """Return the figures as a table, with the bends and the extrapolated values."""
    document = figures.document()
    names = list(dict.fromkeys(name for values in figures.points.values() for name in values))
    lines = [figures.chart.title, f"{figures.chart.x_label}: {', '.join(map(str, figures.points))}"]
    for name in names:
        values = (f"{v[name]:g}" if name in v else "-" for v in figures.points.values())
        lines.append(f"  {name}: {', '.join(values)}")
    for name, bend in document["bends"].items():
        where = (
            "does not bend"
            if bend is None
            else f"bends at {bend['at']:.3g}, from a slope of {bend['before']:.2f} to {bend['after']:.2f}"
        )
        lines.append(f"  {name} {where}")
    for name, rise in document["rises"].items():
        where = (
            "stays level"
            if rise is None
            else f"rises {rise['factor']:.1f} times, half of it by {rise['at']:.3g}"
        )
        lines.append(f"  {name} {where}")
    for name, each in document["extrapolated"].items():
        lines.append(f"  {name} at {each['to']}: {each['value']:g}, extrapolated")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("chart", choices=sorted(CHARTS))
    parser.add_argument("--out", type=Path, default=Path("build/growth"), help="folder for the files")
    parser.add_argument("--limit-s", type=float, default=80.0, help="seconds after which no point begins")
    parser.add_argument("--again", action="store_true", help="forget points that were measured before")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw the points again")
    parser.add_argument("--set", action="append", default=[], type=_setting, metavar="NAME=NUMBER")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    chart = CHARTS[options.chart]
    unknown = dict(options.set).keys() - chart.settings.keys()
    if unknown:
        parser.error(f"--set: must name one of {', '.join(chart.settings)}, got {', '.join(sorted(unknown))}")
    settings = {**chart.settings, **dict(options.set)}
    figures = Figures(chart, options.out, settings, again=options.again, any_machine=options.draw)
    if not options.draw:
        with redirect_stdout(sys.stderr):  # Ray's own messages
            measure(figures, options.limit_s)
    if figures.points:
        figures.write()
        figures.path.with_suffix(".svg").write_text(draw(figures), encoding="utf-8")
    text = json.dumps(figures.document(), indent=1) if options.json else as_text(figures)
    sys.stdout.write(text + "\n")
    return _UNFINISHED if figures.missing else 0


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


if __name__ == "__main__":
    sys.exit(main())
