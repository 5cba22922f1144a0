"""Progress is a bar on a terminal, else a line for every 10%."""

import io
import re

from rich.console import Console

from cli.progress import shown_progress


def lines_of(*reports: tuple[str, int, int, str], others_every_s: float = 0.0) -> list[str]:
    """Return the lines that are printed without a terminal. The seconds at their ends are removed."""
    console = Console(file=io.StringIO(), width=30)
    with shown_progress(console, "listed", others_every_s=others_every_s) as report:
        for each in reports:
            report(*each)
    assert isinstance(console.file, io.StringIO)
    return [re.sub(r", \d+ s$", "", line) for line in console.file.getvalue().splitlines()]


def test_prints_a_line_for_every_tenth_of_a_task() -> None:
    lines = lines_of(*(("fit", step, 1000, "") for step in range(1, 1001)))
    assert lines == ["fit: 1 of 1,000", *(f"fit: {step:,} of 1,000" for step in range(100, 1001, 100))]


def test_prints_a_line_for_each_step_of_a_short_task() -> None:
    lines = lines_of(*(("world", step, 3, f"stage [{step}]") for step in range(4)))
    assert lines == [f"world: {step} of 3, stage [{step}]" for step in range(4)]


def test_alternating_tasks_have_separate_lines_and_a_restart_is_printed() -> None:
    reports = [("a", 5, 10, ""), ("b", 5, 10, ""), ("a", 5, 10, ""), ("a", 0, 10, ""), ("a", 0, 0, "")]
    assert lines_of(*reports) == ["a: 5 of 10", "b: 5 of 10", "a: 0 of 10"]


def test_short_task_has_one_line_if_lines_have_a_distance() -> None:
    reports = [(what, step, 10, "") for what in ("a", "listed") for step in (1, 2, 10)]
    lines = lines_of(*reports, others_every_s=1e6)
    assert lines == ["a: 1 of 10", "listed: 1 of 10", "listed: 2 of 10", "listed: 10 of 10"]


def test_terminal_shows_bars_and_no_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with shown_progress(console, "listed") as report:
        report("fit", 5, 10, "loss [0.5]")
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "listed" in shown
    assert "5/10" in shown
    assert "loss [0.5]" in shown
    assert "5 of 10" not in shown
