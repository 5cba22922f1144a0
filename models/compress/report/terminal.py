"""The result of a recipe for a terminal: aligned tables, or a block per step if the terminal is narrow."""

from collections.abc import Sequence

from models.compress.report.choices import choices
from models.compress.report.pareto import points
from models.compress.report.text import (
    cells,
    columns,
    shown_bytes,
    shown_changes,
    shown_choice,
    shown_label,
    shown_memory,
    shown_speedups,
    shown_state,
    shown_times,
)
from models.compress.rows import Result, Row

Lines = list[str]


def terminal_text(result: Result, width: int) -> str:
    """Return the tables, with the reason below each step that was not accepted, and the recommended models.

    Args:
        result: the result.
        width: columns of the terminal. Tables that are wider are replaced by blocks.
    """
    tables = [
        _table(_quality_head(result), [_quality(number, row) for number, row in enumerate(result.rows)]),
        _table(_time_head(result), [_times(result, number, row) for number, row in enumerate(result.rows)]),
    ]
    if max(len(line) for table in tables for line in table) > width:
        parts = [_block(result, number, row) for number, row in enumerate(result.rows)]
    else:
        quality, times = tables
        heads = len(quality) - len(result.rows)
        for row, line in zip(reversed(result.rows), reversed(range(heads, len(quality))), strict=True):
            if row.reason:
                quality.insert(line + 1, f"    {row.state}: {row.reason}")
        parts = [quality, times]
    machine = result.machine
    first = [f"one thread on {machine.cpu}, {' '.join(machine.flags) or 'no special instructions'}"]
    chosen = [shown_choice(choice, result.metric) for choice in choices(points(result))]
    return "\n\n".join("\n".join(part) for part in (first, *parts, chosen))


def _quality_head(result: Result) -> list[str]:
    changes = ("change against\nparent (95% interval)", "change against\noriginal (95% interval)")
    return ["#", "step", "parent", "state", result.metric, *changes]


def _quality(number: int, row: Row) -> list[str]:
    first = [str(number), shown_label(row), row.parent or "-", shown_state(row)]
    figures = row.figures
    if figures is None or figures.quality is None:
        return [*first, "-", "-", "-"]
    return [*first, f"{figures.quality.value:.4f}", *shown_changes(row)]


def _time_head(result: Result) -> list[str]:
    times = [f"p50 / p99 ms (calls),\n{count:,} candidates" for count in result.candidates]
    speedups = [f"speed-up over\n{name}, {result.deciding:,}" for name in ("parent", "original")]
    return ["#", "step", "on disk", "peak memory\n(the model)", *times, *speedups]


def _times(result: Result, number: int, row: Row) -> list[str]:
    figures = row.figures
    sizes = ["-", "-"] if figures is None else [shown_bytes(figures.sizes.disk_bytes), shown_memory(figures)]
    return [str(number), shown_label(row), *sizes, *shown_times(result, figures), *shown_speedups(row)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Lines:
    titles = [title.split("\n") for title in head]
    depth = max(map(len, titles))
    above = [[title[line] if line < len(title) else "" for title in titles] for line in range(depth)]
    body = [*above, *rows]
    widths = [max(len(line[index]) for line in body) for index in range(len(head))]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in body]


def _block(result: Result, number: int, row: Row) -> Lines:
    titles, values = columns(result), cells(result, row)
    lines = [f"{number}: {row.label}"]
    lines += [
        f"  {title}: {value}" for title, value in zip(titles[1:], values[1:], strict=True) if value != "-"
    ]
    return [*lines, f"  reason: {row.reason}"] if row.reason else lines
