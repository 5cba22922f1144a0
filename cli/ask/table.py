"""An answer as a table for people: a row for each item, with some of its properties."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

_LONGEST_TEXT = 100
_NOT_CHOSEN = {"id", "type", "attribution"}
_WIDE = 10_000  # columns, so that no line is wrapped if the output is not a terminal


def show_answer(
    answer: Mapping[str, Any], details: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> None:
    """Print the ranked items, and the times and versions below them.

    Args:
        answer: the answer of the service.
        details: the details of each item.
        names: the properties to show. If empty, ``chosen_properties`` chooses them.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    properties = [properties_of(each) for each in details]
    shown = list(names) or chosen_properties(properties)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("rank", justify="right")
    table.add_column("id", overflow="fold")
    table.add_column("score", justify="right")
    for name in shown:
        table.add_column(name, overflow="fold")
    for rank, (item, own) in enumerate(zip(answer["items"], properties, strict=True), 1):
        cells = [str(rank), item["id"], f"{item['score']:.3f}", *(_cell(own.get(name)) for name in shown)]
        table.add_row(*map(Text, cells))
    console.print(table)
    for line in _footer(answer, properties):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def properties_of(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item's properties: those of a GeoJSON feature, or else all details."""
    properties = details.get("properties")
    return properties if isinstance(properties, Mapping) else details


def chosen_properties(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the first property with a short text, and the first with a number, of the first item that has any."""
    for item in items:
        own = {name: value for name, value in item.items() if name not in _NOT_CHOSEN}
        texts = (
            name for name, value in own.items() if isinstance(value, str) and len(value) <= _LONGEST_TEXT
        )
        numbers = (name for name, value in own.items() if type(value) in {int, float})
        found = [name for name in (next(texts, None), next(numbers, None)) if name is not None]
        if found:
            return found
    return []


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _footer(answer: Mapping[str, Any], properties: Sequence[Mapping[str, Any]]) -> list[str]:
    times = answer.get("timings_ms", {})
    lines = [f"degraded: {answer['degraded']}"] if answer.get("degraded") else []
    if times:
        stages = ", ".join(f"{name} {ms:.1f}" for name, ms in times.items())
        lines.append(f"{sum(times.values()):.1f} ms in the service: {stages}")
    attributions = {str(each["attribution"]) for each in properties if "attribution" in each}
    return lines + sorted(attributions)
