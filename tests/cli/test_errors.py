"""Errors are printed on one line, and the exit status distinguishes an invalid call from failed work."""

import io

import pytest
import typer
from rich.console import Console

from autoscale.errors import TraceError
from cli.errors import exit_on_error
from cli.k8s.kubectl import Missing
from models.errors import ArtifactError
from services.errors import ConfigError, ReleaseError, StoreFailed
from walks.errors import NoWorldError


def printed(error: Exception, *more: type[Exception], **options: object) -> tuple[int, str]:
    """Run a command that raises ``error`` on a console with 20 columns. Return exit status and output."""
    console = Console(file=io.StringIO(), width=20)
    with pytest.raises(typer.Exit) as ended, exit_on_error(console, *more, **options):  # type: ignore[arg-type]
        raise error
    assert isinstance(console.file, io.StringIO)
    return ended.value.exit_code, console.file.getvalue()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("a"), 2),
        (ArtifactError("a"), 2),
        (TraceError("a"), 2),
        (NoWorldError("a"), 2),
        (Missing("a"), 2),  # the API server was only read
        (ReleaseError("a"), 1),
        (StoreFailed("a"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_status_distinguishes_invalid_calls_from_failed_work(error: Exception, status: int) -> None:
    assert printed(error) == (status, "error: a\n")


@pytest.mark.parametrize("message", ["more than 500, got 501", "candidates.count: more than 500, got 501"])
def test_field_is_printed_once(message: str) -> None:
    error = ConfigError(message, field="candidates.count")
    assert printed(error) == (2, "error: candidates.count: more than 500, got 501\n")


def test_a_long_text_with_brackets_is_printed_as_it_is_on_one_line() -> None:
    text = "models[/red].ranker: " + "very " * 20 + "long"
    assert printed(ConfigError(text)) == (2, f"error: {text}\n")


def test_notes_follow_the_error() -> None:
    error = StoreFailed("gone")
    error.add_note("Call again.")
    assert printed(error) == (1, "error: gone\nCall again.\n")


def test_reports_other_error_types_only_if_they_are_named() -> None:
    full = OSError("the disk is full")
    assert printed(full, OSError, remedy="make room") == (2, "error: the disk is full; make room\n")
    assert printed(full, OSError, exit_code=1) == (1, "error: the disk is full\n")
    with pytest.raises(OSError, match="full"), exit_on_error(Console(file=io.StringIO())):
        raise full


def test_keeps_the_exit_status_of_a_command() -> None:
    with pytest.raises(typer.Exit) as ended, exit_on_error(Console(file=io.StringIO()), OSError):
        raise typer.Exit(130)
    assert ended.value.exit_code == 130
