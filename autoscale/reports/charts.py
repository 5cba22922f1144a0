"""Simulation charts as SVG. Each chart shows all configurations."""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoscale.simulator.results import Simulation, Timeline

_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2")
_SIZE_IN = (9.0, 2.5)
_MOST_POINTS = 1500
_Series = NDArray[np.float64]


def charts(cases: Mapping[str, Simulation]) -> dict[str, str]:
    """Return charts by title. Each is one SVG element that loads no other resource."""
    first = next(iter(cases.values()))
    pictures = {
        "Requests per second": _chart(cases, lambda line: {"": line.arrived / line.bin_s}),
        "p99, ms": _chart(
            cases, lambda line: {"": line.p99_ms}, level=first.p99_objective_ms, logarithmic=True
        ),
        "Share of missed requests": _chart(
            cases, lambda line: {"": line.misses / np.maximum(line.arrived, 1)}
        ),
    }
    if len(cases) == 1:
        pictures["p50, p95 and p99, ms"] = _chart(
            cases,
            lambda line: {"p50": line.p50_ms, "p95": line.p95_ms, "p99": line.p99_ms},
            level=first.p99_objective_ms,
            logarithmic=True,
        )
        del pictures["p99, ms"]
    for name in first.timeline.ready:
        pictures[f"Replicas of {name}"] = _chart(cases, _replicas(name, targets=len(cases) == 1))
    for pool in first.timeline.nodes:
        pictures[f"Nodes in pool {pool}"] = _chart(cases, _nodes(pool))
    pictures["Cost per hour"] = _chart(cases, lambda line: {"": line.cost * 3600 / line.bin_s})
    return pictures


def _replicas(name: str, *, targets: bool) -> Callable[[Timeline], dict[str, _Series]]:
    def series(line: Timeline) -> dict[str, _Series]:
        ready = {"ready" if targets else "": line.ready[name]}
        return ready | ({"target": line.target[name]} if targets else {})

    return series


def _nodes(pool: str) -> Callable[[Timeline], dict[str, _Series]]:
    return lambda line: {"": line.nodes[pool]}


def _chart(
    cases: Mapping[str, Simulation],
    series: Callable[[Timeline], dict[str, _Series]],
    *,
    level: float | None = None,
    logarithmic: bool = False,
) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Keep texts as text elements, and make the output reproducible.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rankway", "font.size": 9.0}):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        colours = iter(_COLOURS * 4)
        named = False
        for case, simulation in cases.items():
            line = simulation.timeline
            for name, values in series(line).items():
                label = " ".join(part for part in (case if len(cases) > 1 else "", name) if part)
                named = named or bool(label)
                hours = (line.start_s + (np.arange(len(values)) + 0.5) * line.bin_s) / 3600
                axes.plot(*_thinned(hours, values), color=next(colours), linewidth=1.0, label=label or None)
        if level is not None:
            axes.axhline(level, color="#888888", linewidth=0.8, linestyle="--")
        if logarithmic:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel("time on the trace's clock, hours")
        axes.grid(visible=True, linewidth=0.3)
        if named:
            axes.legend(fontsize=8, loc="upper left")
        file = io.StringIO()
        metadata: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(file, format="svg", metadata=metadata)
    match = re.search(r"<svg.*</svg>", file.getvalue(), re.DOTALL)
    assert match is not None, "matplotlib writes one svg element"
    return match.group()


def _thinned(hours: _Series, values: _Series) -> tuple[_Series, _Series]:
    """Reduce a series to at most ``_MOST_POINTS`` points. Each group's largest value remains, so peaks remain."""
    group = -(-len(values) // _MOST_POINTS)
    if group <= 1:
        return hours, values
    size = -(-len(values) // group) * group
    padded = np.full(size, np.nan)
    padded[: len(values)] = values
    parts = padded.reshape(-1, group)
    largest = np.where(np.isnan(parts).all(axis=1), np.nan, np.nan_to_num(parts, nan=-np.inf).max(axis=1))
    return hours[::group], largest
