"""The report of a conversion, as a table or as JSON."""

from collections import Counter
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.convert.draft import OUTCOMES, Draft, Outcome

_STYLES: dict[Outcome, str] = {"mapped": "green", "decide": "yellow", "none": "red"}
_WIDE = 10_000


def counts(draft: Draft) -> dict[str, int]:
    """Return the number of findings of each outcome."""
    found = Counter(finding.outcome for finding in draft.findings)
    return {outcome: found[outcome] for outcome in OUTCOMES}


def as_json(draft: Draft, written: dict[str, str]) -> dict[str, Any]:
    """Return the report as a document for JSON.

    Args:
        draft: the converted pipeline.
        written: the files that were written, by their content.
    """
    findings = [
        {"source": each.source, "outcome": each.outcome, "target": each.target, "note": each.note}
        for each in draft.findings
    ]
    return {"name": draft.name, **written, "counts": counts(draft), "findings": findings}


def show(draft: Draft) -> None:
    """Print the findings as one table for each outcome.

    Nothing is wrapped if the output is not a terminal.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    for outcome, words in OUTCOMES.items():
        found = [each for each in draft.findings if each.outcome == outcome]
        if not found:
            continue
        table = Table(
            title=f"{words} ({len(found)})",
            title_justify="left",
            title_style=_STYLES[outcome],
            box=SIMPLE_HEAD,
        )
        table.add_column("source", overflow="fold")
        table.add_column("in Rankway", overflow="fold")
        table.add_column("note", overflow="fold")
        for each in found:
            table.add_row(*(Text(cell) for cell in (each.source, each.target, each.note)))
        console.print(table)
