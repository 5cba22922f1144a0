"""The table of columns that ``rankway new`` prints."""

from rich.console import Console

from cli.new.found import Found

_HEADER = ("column", "type", "role", "sure", "reason")
_WIDEST = 28


def print_guesses(console: Console, found: Found) -> None:
    """Print the role of each column, with the confidence and the reason. Lines are not wrapped."""
    for table, guesses in found.guesses.items():
        rows = [
            (guess.column, guess.type, guess.role, f"{guess.confidence:.0%}", guess.reason)
            for guess in guesses
        ]
        widths = [
            min(_WIDEST, max(len(row[index]) for row in (*rows, _HEADER)))
            for index in range(len(_HEADER) - 1)
        ]
        console.print(f"{table}: {found.locations[table]}", markup=False, highlight=False, soft_wrap=True)
        for row in (_HEADER, *rows):
            cells = [_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=False)]
            line = "  ".join((*cells, row[-1]))
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
