"""The Pareto front as one SVG element: the speed-up of each model against its loss of quality."""

import math
from collections.abc import Sequence
from html import escape

from models.compress.report.pareto import Point, front
from models.compress.report.places import Places

# The drawing is small, so that its texts stay readable if a phone scales it down to its own width.
_WIDTH, _HEIGHT = 520, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 14, 46
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_CLOSE_TICKS = (0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 2.5)
_BOUND_WIDTH = 92
_CLOSE = 2.5
"""The largest ratio of two speed-ups with which the close ticks are drawn."""
_STEPS = (1, 2, 5, 10)


def pareto_chart(found: Sequence[Point], *, candidates: int, metric: str, max_loss: float) -> str:
    """Return the chart.

    Points whose loss is far beyond that of the accepted ones are drawn at the lower edge as triangles.

    Args:
        found: the points.
        candidates: the number of candidates of the speed-ups.
        metric: the name of the quality's measure.
        max_loss: the gate's bound, drawn as a line.
    """
    axes = _Axes(found, max_loss)
    parts = [*axes.grid(candidates, metric), _line(axes, max_loss)]
    joined = " ".join(f"{axes.x(p.speedup):.1f},{axes.y(p.loss):.1f}" for p in front(found))
    parts.append(f"<polyline class='front' points='{joined}'/>")
    on_front = {point.number for point in front(found)}
    places = Places(_LEFT, _TOP - 8, _WIDTH - 2, _HEIGHT - _BOTTOM + 6)
    places.take(_LEFT, axes.y(max_loss) + 3, _LEFT + _BOUND_WIDTH, axes.y(max_loss) + 16)
    for point in found:
        places.take_mark(axes.x(point.speedup), axes.y(point.loss))
    for point in sorted(found, key=lambda point: point.number not in on_front):
        parts.append(_mark(axes, point, places, is_on_front=point.number in on_front))
    title = f"Speed-up at {candidates:,} candidates against the loss of {metric}"
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='{escape(title, quote=True)}'>"
        f"{''.join(parts)}</svg>"
    )


class _Axes:
    """Positions of speed-ups, on a logarithmic scale, and of losses, which grow downwards."""

    def __init__(self, found: Sequence[Point], max_loss: float) -> None:
        speedups = [point.speedup for point in found] or [1.0]
        self._slowest, self._fastest = min(*speedups, 0.9) / 1.15, max(*speedups, 1.5) * 1.15
        accepted = [point.loss for point in found if point.is_accepted] or [0.0]
        span = max(max_loss, max(accepted) - min(accepted), 0.002)
        self._least, self._most = min(*accepted, 0.0) - 0.2 * span, max(*accepted, max_loss) + 0.25 * span

    def x(self, speedup: float) -> float:
        share = math.log(speedup / self._slowest) / math.log(self._fastest / self._slowest)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, loss: float) -> float:
        share = (min(max(loss, self._least), self._most) - self._least) / (self._most - self._least)
        return _TOP + share * (_HEIGHT - _TOP - _BOTTOM)

    def is_inside(self, loss: float) -> bool:
        return self._least <= loss <= self._most

    def grid(self, candidates: int, metric: str) -> list[str]:
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = []
        ticks = _CLOSE_TICKS if self._fastest / self._slowest < _CLOSE else _TICKS
        for speedup in (tick for tick in ticks if self._slowest <= tick <= self._fastest):
            x = self.x(speedup)
            parts.append(f"<path class='grid' d='M{x:.1f} {_TOP}V{bottom}'/>")
            parts.append(f"<text x='{x:.1f}' y='{bottom + 17}' text-anchor='middle'>{speedup:g}x</text>")
        for loss in self._loss_ticks():
            y = self.y(loss)
            parts.append(f"<path class='grid' d='M{_LEFT} {y:.1f}H{right}'/>")
            parts.append(f"<text x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{100 * loss:.4g}%</text>")
        middle = (_TOP + bottom) / 2
        parts.append(
            f"<text x='{(_LEFT + right) / 2:.0f}' y='{_HEIGHT - 8}' text-anchor='middle'>speed-up over "
            f"original, {candidates:,} candidates. Right is faster</text>"
        )
        parts.append(
            f"<text x='13' y='{middle:.0f}' transform='rotate(-90 13 {middle:.0f})' text-anchor='middle'>loss of "
            f"{escape(metric)}, up is better</text>"
        )
        return parts

    def _loss_ticks(self) -> list[float]:
        rough = (self._most - self._least) / 6
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * size for factor in _STEPS if factor * size >= rough)
        first, last = math.ceil(self._least / step), math.floor(self._most / step)
        return [number * step for number in range(first, last + 1)]


def _line(axes: _Axes, max_loss: float) -> str:
    y = axes.y(max_loss)
    return (
        f"<path class='bound' d='M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}'/>"
        f"<text class='bound' x='{_LEFT + 3}' y='{y + 13:.1f}'>max_ndcg_loss</text>"
    )


def _mark(axes: _Axes, point: Point, places: Places, *, is_on_front: bool) -> str:
    x, y = axes.x(point.speedup), axes.y(point.loss)
    name = "original" if point.number == 0 else point.row.state
    kind = f"{name} on" if is_on_front else name
    if not axes.is_inside(point.loss):
        shape = f"<path class='{kind}' d='M{x - 5:.1f} {y - 4:.1f}h10l-5 9z'/>"
    elif point.is_accepted:
        shape = f"<circle class='{kind}' cx='{x:.1f}' cy='{y:.1f}' r='4.5'/>"
    else:
        shape = f"<path class='{kind}' d='M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8'/>"
    label = places.label(str(point.number), x, y)
    leader = (
        f"<path class='leader' d='M{x:.1f} {y:.1f}L{label.x:.1f} {label.y:.1f}'/>" if label.is_far else ""
    )
    title = f"{point.row.label}: {point.speedup:.2f}x, loss {point.loss:.2%}, {point.row.state}"
    return (
        f"<g><title>{escape(title)}</title>{leader}{shape}<text class='number' x='{label.x:.1f}' "
        f"y='{label.y + 4:.1f}' text-anchor='middle'>{point.number}</text></g>"
    )
