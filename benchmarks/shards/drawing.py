"""Draws a pipeline's timeline as SVG: a row for each rank, with a box for each part of the batch in each stage."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.shards.events import MS, Events

_WIDTH, _LEFT, _TOP, _ROW, _BAR = 760.0, 56.0, 30.0, 34.0, 24.0
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
_TICKS = 5


def drawing(title: str, ranks: Sequence[Events]) -> str:
    """Return the SVG. Boxes of one colour are the same part. White gaps are waits and messages."""
    start, end = ranks[0].start, ranks[0].end
    scale = (_WIDTH - _LEFT - 10) / (end - start)
    height = _TOP + _ROW * len(ranks) + 24
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" font-family="sans-serif" '
        f'font-size="11">',
        f'<rect width="{_WIDTH:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text x="{_LEFT:.0f}" y="18">{escape(title)}</text>',
    ]
    for rank, events in enumerate(ranks):
        y = _TOP + rank * _ROW
        lines.append(f'<text x="8" y="{y + 16:.0f}">rank {rank}</text>')
        for step, (begin, finish) in enumerate(events.computing()):
            colour = _COLOURS[step % ranks[0].parts % len(_COLOURS)]
            lines.append(
                f'<rect x="{_LEFT + (begin - start) * scale:.1f}" y="{y:.0f}" width="{(finish - begin) * scale:.1f}" '
                f'height="{_BAR:.0f}" fill="{colour}"/>'
            )
    for tick in range(_TICKS + 1):
        at = (end - start) * tick / _TICKS
        lines.append(
            f'<text x="{_LEFT + at * scale:.1f}" y="{height - 8:.0f}" text-anchor="middle">{at / MS:.0f} ms</text>'
        )
    return "\n".join([*lines, "</svg>\n"])
