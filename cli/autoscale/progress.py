"""How far a search is: bars on a terminal, elsewhere a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from autoscale.tuner.tuner import Progress as Told

_LINES = 10
"""Of each rung in a log."""


@contextmanager
def progress_of(console: Console, *rungs: str) -> Iterator[Told]:
    """Show how many of each rung's configurations are done."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        tasks = {rung: bar.add_task(rung, total=None) for rung in rungs}
        yield lambda rung, done, total: bar.update(tasks[rung], completed=done, total=total)


def _lines(console: Console) -> Told:
    begun_s, told = time.monotonic(), dict[str, int]()

    def tell(rung: str, done: int, total: int) -> None:
        part = done * _LINES // max(1, total)
        if told.get(rung) != part:
            told[rung] = part
            elapsed_s = time.monotonic() - begun_s
            console.print(f"{rung}: {done:,} of {total:,}, {elapsed_s:.0f} s", highlight=False)

    return tell
