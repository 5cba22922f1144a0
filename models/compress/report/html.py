"""The report of a recipe as one HTML file that loads no other resource."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from models.compress.report.chart import pareto_chart
from models.compress.report.choices import choices
from models.compress.report.pareto import Point, front, points
from models.compress.report.style import STYLE
from models.compress.report.text import cells, columns, plain_share, shown_loss
from models.compress.rows import Result, Row, Table

_LEGEND = (
    "Filled blue points are on the front: no other accepted model is both faster and better. Pale points are accepted "
    "but beaten, crosses are rejected. A triangle at the edge lies beyond it. The numbers are those of the table."
)
_ADVICE = (
    "The fastest accepted model whose whole 95% interval is within the loss. If a faster one is within it by its point "
    "estimate only, it has a line of its own: more lists could show that it loses more."
)
_SENSITIVITY = "sensitivity"
"""Tables whose titles have this word are shown with the steps. Others are among the details."""


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
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>",
        _introduction(result),
        f"<h2>Speed and quality</h2><div class='chart'>{chart}{_front(result, found)}</div><p>{escape(_LEGEND)}</p>",
        _choices(result, found),
        f"<h2>All steps</h2>{_steps(result, found)}",
        _sensitivities(result),
        "<h2>Details of each step</h2>",
        *(_details(number, row) for number, row in enumerate(result.rows)),
        _about(result),
    ]
    return "".join(parts) + "</html>\n"


def _introduction(result: Result) -> str:
    accepted, machine = sum(row.state == "accepted" for row in result.steps), result.machine
    over = "lists" if result.users is None else f"their {result.users:,} users"
    text = (
        f"{len(result.steps)} steps, of which {accepted} were accepted. {result.metric} is that of {result.lists:,} "
        f"lists that no step was fitted to. Intervals are 95% bootstrap intervals over {over}. The run ended at "
        f"{result.at}."
    )
    flags = " ".join(machine.flags) or "no special instructions"
    return f"<p>{escape(text)}</p><p class='cpu'>One thread on {escape(f'{machine.cpu}: {flags}')}</p>"


def _front(result: Result, found: Sequence[Point]) -> str:
    rows = [
        [str(point.number), point.row.label, f"{point.speedup:.2f}x", plain_share(point.loss)]
        for point in front(found)
    ]
    return _table(["#", "on the front", "speed-up over original", f"loss of {result.metric}"], rows)


def _choices(result: Result, found: Sequence[Point]) -> str:
    rows = []
    for choice in choices(found):
        bound = f"at most {choice.loss:.1%}"
        best = choice.within
        rows.append([bound, *(["none", "-", "-", "-", "-"] if best is None else _chosen(best, "within"))])
        if choice.maybe is not None:
            rows.append([bound, *_chosen(choice.maybe, "point estimate within, interval not")])
    head = [
        f"loss of {result.metric}",
        "fastest accepted model",
        f"speed-up over original, {result.deciding:,} candidates",
        "its loss (95% interval)",
        "95% interval",
        "folder in the home",
    ]
    return f"<h2>Which one to choose</h2><p>{escape(_ADVICE)}</p>{_table(head, rows)}"


def _chosen(point: Point, interval: str) -> list[str]:
    label = f"{point.number}: {point.row.label}"
    return [label, f"{point.speedup:.2f}x", shown_loss(point), interval, point.row.path]


def _steps(result: Result, found: Sequence[Point]) -> str:
    on_front = {point.number for point in front(found)}
    names = ["#", *columns(result)]
    lines = [f"<tr class='head'>{''.join(f'<th>{escape(name)}</th>' for name in names)}</tr>"]
    for number, row in enumerate(result.rows):
        values = [str(number), *cells(result, row)]
        kind = f"{row.state} on" if number in on_front else row.state
        body = "".join(
            f"<td class='{'step' if index in {1, 2} else 'n'}' data-name='{escape(name, quote=True)}'>"
            f"<span>{_cell(value)}</span></td>"
            for index, (name, value) in enumerate(zip(names, values, strict=True))
        )
        lines.append(f"<tr class='{kind}'>{body}</tr>")
        if row.reason:
            reason = escape(f"{row.state}: {row.reason}")
            lines.append(f"<tr class='reason'><td></td><td colspan='{len(names) - 1}'>{reason}</td></tr>")
    return f"<div class='scroll'><table class='steps'>{''.join(lines)}</table></div>"


def _cell(value: str) -> str:
    """Return a value with what is in brackets, such as its interval, in a line below it."""
    first, bracket, rest = value.partition(" (")
    return f"{escape(first)} <small>{escape(bracket[1:] + rest)}</small>" if bracket else escape(value)


def _sensitivities(result: Result) -> str:
    found = [
        _own_table(f"{number}: {row.label}. {title}", rows)
        for number, row in enumerate(result.rows)
        for title, rows in row.tables.items()
        if _SENSITIVITY in title.lower()
    ]
    return f"<h2>Sensitivity of the layers</h2>{''.join(found)}" if found else ""


def _details(number: int, row: Row) -> str:
    facts: dict[str, Any] = {"version": row.version or None, "folder": row.path or None}
    facts |= {"parent": row.parent or None, "options": row.options or None, "found": row.facts or None}
    if row.kind:
        facts["seconds"] = row.wall_s
    if row.figures is not None:
        facts["runtime"] = row.figures.runtime
        facts["lists in a call"] = (
            "1, because scores depend on the call" if row.figures.scored_alone else None
        )
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td class='step'>{escape(_plain(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    others = {title: rows for title, rows in row.tables.items() if _SENSITIVITY not in title.lower()}
    tables = "".join(_own_table(title, rows) for title, rows in others.items())
    return (
        f"<details><summary>{number}: {escape(row.label)}</summary><table>{lines}</table>{tables}</details>"
    )


def _own_table(title: str, rows: Table) -> str:
    head = list(dict.fromkeys(name for row in rows for name in row))
    body = [[_plain(row.get(name, "")) for name in head] for row in rows]
    return f"<p>{escape(title)}</p><div class='long'>{_table(head, body)}</div>"


def _about(result: Result) -> str:
    machine = result.machine
    rows = [
        ["cores", str(machine.cores)],
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
    return f"<div class='scroll'><table>{first}{lines}</table></div>"
