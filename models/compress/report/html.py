"""The report of a recipe as one HTML file that loads no other resource."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from models.compress.report.chart import pareto_chart
from models.compress.report.pareto import Point, fastest_within, front, points
from models.compress.report.text import cells, columns, shown_share
from models.compress.rows import Result, Row

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 84rem; margin: 1.5rem auto; padding: 0 1rem; color: #222;
background: #fff; } h1 { font-size: 1.35rem; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .85rem; }
td, th { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } tr.rejected, tr.failed { color: #8a4b2d; }
tr.on { background: #eef6f0; } td.step { overflow-wrap: anywhere; min-width: 9rem; } .scroll { overflow-x: auto; }
details { margin: .4rem 0; border-bottom: 1px solid #eee; padding-bottom: .3rem; } summary { cursor: pointer; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .5rem; font-size: .8rem; }
svg { width: 100%; max-width: 40rem; height: auto; display: block; } svg text { font-size: 12px; fill: #444; }
svg text.number { font-size: 11px; font-weight: 600; fill: #222; } .grid { stroke: #e6e6e6; }
path.bound { stroke: #c8553d; stroke-dasharray: 5 4; } svg text.bound { fill: #c8553d; }
.front { fill: none; stroke: #1b6ca8; stroke-width: 1.8; } .accepted { fill: #b9cfe0; stroke: #1b6ca8; }
.on { fill: #1b6ca8; stroke: #1b6ca8; } .original { fill: #222; stroke: #222; }
path.rejected { fill: #c8553d; stroke: #c8553d; stroke-width: 2; }
@media (max-width: 50rem) { svg text { font-size: 15px; } svg text.number { font-size: 14px; }
table.steps, table.steps tbody, table.steps tr { display: block; }
table.steps tr.head { display: none; } table.steps tr { border: 1px solid #ddd; border-radius: 6px; margin: .6rem 0; }
table.steps td { display: flex; justify-content: space-between; gap: 1rem; text-align: right; }
table.steps td::before { content: attr(data-name); color: #666; text-align: left; } }
"""
_LOSSES = (0.001, 0.01, 0.05)
"""The losses of quality for which the report names the fastest model."""
_LEGEND = (
    "Filled blue points are on the front: no other accepted model is both faster and better. Pale points are accepted "
    "but beaten, crosses are rejected. A triangle at the edge lies beyond it. The numbers are those of the table."
)


def html_report(result: Result) -> str:
    """Return the report as HTML. It is complete even if all steps were rejected or failed."""
    found = points(result)
    model, pipeline = result.recipe["model"], result.recipe["pipeline"]
    title = f"Compression of {model} of {pipeline}"
    gate = result.recipe["gate"]
    chart = pareto_chart(
        found, candidates=result.deciding, metric=result.metric, max_loss=gate["max_ndcg_loss"]
    )
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>",
        _introduction(result),
        f"<h2>Speed and quality</h2>{chart}<p>{escape(_LEGEND)}</p>",
        _choices(result, found),
        f"<h2>All steps</h2>{_steps(result, found)}",
        _refused(result),
        "<h2>Details of each step</h2>",
        *(_details(number, row) for number, row in enumerate(result.rows)),
        _about(result),
    ]
    return "".join(parts) + "</html>\n"


def _introduction(result: Result) -> str:
    accepted = sum(row.state == "accepted" for row in result.steps)
    text = (
        f"{len(result.steps)} steps, of which {accepted} were accepted. {result.metric} is that of {result.lists:,} "
        f"lists that no step was fitted to, with 95% intervals. Times are those of one thread on {result.machine.cpu} "
        f"({', '.join(result.machine.flags) or 'no special instructions'}). The run ended at {result.at}."
    )
    return f"<p>{escape(text)}</p>"


def _choices(result: Result, found: Sequence[Point]) -> str:
    rows = []
    for loss in _LOSSES:
        best = fastest_within(found, loss)
        if best is None:
            rows.append([f"at most {loss:.1%}", "none", "-", "-", "-"])
            continue
        label = f"{best.number}: {best.row.label}"
        rows.append(
            [f"at most {loss:.1%}", label, f"{best.speedup:.2f}x", shown_share(best.loss), best.row.path]
        )
    head = [
        f"loss of {result.metric}",
        "fastest accepted model",
        "speed-up",
        "its loss",
        "folder in the home",
    ]
    return f"<h2>Which one to choose</h2><div class='scroll'>{_table(head, rows)}</div>"


def _steps(result: Result, found: Sequence[Point]) -> str:
    on_front = {point.number for point in front(found)}
    names = ["#", *columns(result)]
    lines = [f"<tr class='head'>{''.join(f'<th>{escape(name)}</th>' for name in names)}</tr>"]
    for number, row in enumerate(result.rows):
        values = [str(number), *cells(result, row)]
        kind = f"{row.state} on" if number in on_front else row.state
        body = "".join(
            f"<td class='{'step' if index == 1 else 'n'}' data-name='{escape(name, quote=True)}'>{escape(value)}</td>"
            for index, (name, value) in enumerate(zip(names, values, strict=True))
        )
        lines.append(f"<tr class='{kind}'>{body}</tr>")
    return f"<div class='scroll'><table class='steps'>{''.join(lines)}</table></div>"


def _refused(result: Result) -> str:
    refused = [(number, row) for number, row in enumerate(result.rows) if row.state != "accepted"]
    if not refused:
        return ""
    items = "".join(
        f"<li value='{number}'>{escape(row.label)} {row.state}: {escape(row.reason)}</li>"
        for number, row in refused
    )
    return f"<h2>Steps that were not accepted</h2><ol>{items}</ol>"


def _details(number: int, row: Row) -> str:
    facts: dict[str, Any] = {"version": row.version or None, "folder": row.path or None}
    facts |= {"parent": row.parent or None, "options": row.options or None, "found": row.facts or None}
    if row.kind:
        facts["seconds"] = row.wall_s
    if row.figures is not None:
        facts["runtime"] = row.figures.runtime
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td class='step'>{escape(_plain(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    tables = "".join(_own_table(title, rows) for title, rows in row.tables.items())
    return (
        f"<details><summary>{number}: {escape(row.label)}</summary><table>{lines}</table>{tables}</details>"
    )


def _own_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    head = list(dict.fromkeys(name for row in rows for name in row))
    body = [[_plain(row.get(name, "")) for name in head] for row in rows]
    return f"<p>{escape(title)}</p><div class='scroll'>{_table(head, body)}</div>"


def _about(result: Result) -> str:
    machine = result.machine
    rows = [
        ["processor", f"{machine.cpu}, {machine.cores} cores"],
        ["instruction sets", " ".join(machine.flags) or "none of those that matter"],
        ["libraries", ", ".join(f"{name} {version}" for name, version in machine.versions.items())],
    ]
    recipe = f"<details><summary>recipe</summary><pre>{escape(json.dumps(result.recipe, indent=1))}</pre></details>"
    return f"<h2>Machine and recipe</h2>{_table([], rows)}{recipe}"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    first = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>" if head else ""
    lines = "".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row)}</tr>" for row in body)
    return f"<table>{first}{lines}</table>"
