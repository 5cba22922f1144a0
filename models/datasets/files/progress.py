"""The progress of reading files, which a command shows."""

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a task."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Report that ``done`` of ``total`` steps of the task ``what`` are done."""
        ...


def silent(what: str, done: int, total: int, note: str = "") -> None:
    """Report nothing."""
