"""Progress reports for long work: bars on a terminal, else a line for every 10%, or fewer for short tasks."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINES = 10


class Report(Protocol):
    """A function that receives a task's progress."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Report that ``done`` of ``total`` steps in the task ``what`` are done.

        Args:
            what: the task's name.
            done: finished steps.
            total: all steps.
            note: more information, such as a loss.
        """
        ...


@contextmanager
def shown_progress(console: Console, *tasks: str, others_every_s: float = 0.0) -> Iterator[Report]:
    """Show several tasks' progress, by name.

    Args:
        console: the console to print to.
        tasks: tasks to list from the start. Other tasks are listed when they begin.
        others_every_s: without a terminal, the other tasks have a line when they begin, and no further one until this
            many seconds after their last one. For work with many short tasks.

    Yields:
        The function that reports progress.
    """
    if not console.is_terminal:
        yield _lines(console, tasks, others_every_s)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    note = TextColumn("{task.fields[note]}", markup=False)
    with Progress(*columns, TimeRemainingColumn(), note, console=console, transient=True) as bar:
        ids: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int | None, note: str = "") -> None:
            if what not in ids:
                ids[what] = bar.add_task(what, note="")
            bar.update(ids[what], completed=done, total=total, note=note)

        for task in tasks:
            report(task, 0, None)
        yield report


def _lines(console: Console, tasks: Sequence[str], others_every_s: float) -> Report:
    begun_s, printed, printed_s = time.monotonic(), dict[str, int](), dict[str, float]()

    def report(what: str, done: int, total: int, note: str = "") -> None:
        tenths = done * _LINES // max(1, total)
        now_s = time.monotonic()
        if printed.get(what) == tenths:
            return
        if what in printed and what not in tasks and now_s - printed_s[what] < others_every_s:
            return
        printed[what], printed_s[what] = tenths, now_s
        parts = [f"{what}: {done:,} of {total:,}", note, f"{now_s - begun_s:.0f} s"]
        console.print(", ".join(filter(None, parts)), markup=False, highlight=False, soft_wrap=True)

    return report
