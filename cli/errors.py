"""How commands report errors, and with which exit status.

- **0**: success.
- **1**: the call was valid, but something failed later, for example a service did not start, or a store was lost. Also
  a negative result: findings from ``k8s lint``, a failed gate in ``autoscale replay``, a "no" at a prompt.
- **2**: the command cannot run as called. An argument, a configuration, data, a model or a path is missing or
  invalid. Nothing was changed. ``rankway k8s scale`` also exits with 2 if the API server refuses.
- **130**: Ctrl-C ended ``rankway serve`` before it was ready.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console

from autoscale.errors import AutoscaleError
from models.errors import ModelError
from services.errors import ConfigError, RequestError, ServiceError
from walks.errors import WalksError

FAILED, BAD_INPUT = 1, 2


@contextmanager
def exit_on_error(
    console: Console, *more: type[Exception], remedy: str = "", exit_code: int = BAD_INPUT
) -> Iterator[None]:
    """Print an error from Rankway's packages with its notes but no traceback. Exit with the error's status.

    Args:
        console: the console to print to.
        more: other error types to report too, such as ``OSError``.
        remedy: text that follows an error message, only for errors in ``more``.
        exit_code: the exit status for errors in ``more``.
    """
    try:
        yield
    except (ServiceError, ModelError, AutoscaleError, WalksError) as error:
        print_error(console, str(error))
        for note in getattr(error, "__notes__", ()):
            console.print(note, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(_exit_code(error)) from error
    except more as error:
        print_error(console, f"{error}; {remedy}" if remedy else str(error))
        raise typer.Exit(exit_code) from error


def print_error(console: Console, text: str) -> None:
    """Print an error on one line. Its text is not interpreted as markup."""
    console.print(f"error: {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def print_warning(console: Console, text: str) -> None:
    """Print a warning on one line. Its text is not interpreted as markup."""
    console.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def print_left_out(console: Console, counts: Mapping[str, int]) -> None:
    """Print a warning for each problem of rows that were left out. ``counts`` has the rows by problem."""
    for problem, count in counts.items():
        print_warning(console, f"{count:,} rows were left out: {problem}")


def _exit_code(error: Exception) -> int:
    changes_nothing = isinstance(error, ConfigError | RequestError) or not isinstance(error, ServiceError)
    return BAD_INPUT if changes_nothing else int(getattr(error, "exit_code", FAILED))
