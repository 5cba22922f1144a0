"""Draws a chart's figures as a small SVG, with its bends and its extrapolations marked."""

import io
import textwrap
from typing import Any

import numpy as np

from benchmarks.growth.chart import Panel
from benchmarks.growth.figures import Figures
from models.extras import require

_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#7a6c5d")
_PANEL_IN = (4.4, 3.5)
_TITLE_WIDTH = 62
_UNITS = ((1e6, "M"), (1e3, "k"))


def draw(figures: Figures) -> str:
    """Return the chart as SVG, which is the same for the same figures."""
    require(["matplotlib"], "autoscale")
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    chart = figures.chart
    width_in, height_in = _PANEL_IN
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rankway", "font.size": 8.5}):
        figure = Figure(figsize=(width_in * len(chart.panels), height_in), layout="constrained")
        figure.patch.set_facecolor("white")
        FigureCanvasSVG(figure)
        title = textwrap.fill(chart.title, _TITLE_WIDTH * len(chart.panels))
        figure.suptitle(title, fontsize=9, x=0.01, ha="left")
        for place, panel in enumerate(chart.panels, 1):
            _draw_panel(figure.add_subplot(1, len(chart.panels), place), panel, figures)
        file = io.StringIO()
        metadata: dict[str, Any] = {"Date": None, "Creator": None}
        figure.savefig(file, format="svg", metadata=metadata)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _draw_panel(axes: Any, panel: Panel, figures: Figures) -> None:
    top = 0.0
    for name, colour in zip(panel.series, _COLOURS, strict=False):
        xs, ys = figures.series(name)
        if not xs:
            continue
        axes.plot(xs, ys, color=colour, linewidth=1.3, marker="o", markersize=3, label=name)
        top = max(top, *ys)
        if panel.extrapolate_to is not None:
            top = max(top, _continue(axes, name, colour, panel.extrapolate_to, figures))
    bend = None if panel.bend_of is None else figures.bend(panel.bend_of)
    rise = None if panel.rise_of is None else figures.rise(panel.rise_of)
    if bend is not None:
        _mark(axes, bend.at, "bend")
    if rise is not None:
        _mark(axes, rise.at, "half of the rise")
    ticks = [*figures.points, *([panel.extrapolate_to] if panel.extrapolate_to else [])]
    axes.set_xscale("log")
    axes.set_xticks(_readable(ticks), [_short(x) for x in _readable(ticks)])
    axes.minorticks_off()
    if panel.scale == "log":
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(lambda _y, _place: "")
    else:
        axes.set_ylim(bottom=0, top=top * 1.1 or 1)
    axes.set_xlabel(figures.chart.x_label)
    axes.set_ylabel(panel.y_label)
    axes.grid(visible=True, linewidth=0.3)
    axes.yaxis.set_major_formatter(lambda y, _place: _short(float(f"{y:.3g}")))
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.45, -0.17), ncols=2, frameon=False)


def _continue(axes: Any, name: str, colour: str, to: int, figures: Figures) -> float:
    """Draw a fit beyond the last point, and return its last value."""
    xs, ys = figures.series(name)
    fit = figures.fit(name)
    if fit is None:
        return 0.0
    beyond = np.geomspace(xs[-1], to, 30)
    values = [ys[-1], *(fit(x) for x in beyond[1:])]
    axes.plot(beyond, values, color=colour, linewidth=1.0, linestyle=":")
    axes.annotate(f"{values[-1]:.3g} extrapolated", (to, values[-1]), fontsize=6.5, ha="right", va="bottom")
    return values[-1]


def _mark(axes: Any, at: float, text: str) -> None:
    axes.axvline(at, color="#888888", linewidth=0.8, linestyle="--")
    place = (at, 0.03)
    text = f"{text} at {_short(float(f'{at:.2g}'))}"
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
    axes.annotate(
        text, place, xycoords=("data", "axes fraction"), fontsize=7, rotation=90, ha="right", bbox=box
    )


def _readable(xs: list[int]) -> list[int]:
    """Return the points that have room for their text, the first and the last among them."""
    span = np.log(xs[-1] / xs[0]) or 1.0
    kept = [xs[0]]
    for x in xs[1:-1]:
        if np.log(x / kept[-1]) > 0.09 * span and np.log(xs[-1] / x) > 0.09 * span:
            kept.append(x)
    return [*kept, xs[-1]] if len(xs) > 1 else kept


def _short(x: float) -> str:
    return next((f"{x / unit:g}{letter}" for unit, letter in _UNITS if x >= unit), f"{x:g}")
