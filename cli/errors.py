"""How commands report errors, and with which exit status.

- **0**: done.
- **1**: the command was called rightly and something failed later, a service that does not start or a store that is
  lost; or its result is negative, such as findings of ``k8s lint``, a gate of ``autoscale replay``, a "no" at a prompt.
- **2**: the command cannot be carried out as called: an argument, a configuration, data, a model or a place on disk is
  missing or unfit. Nothing was changed. ``rankway k8s scale`` also exits with 2 if the API server refuses.
- **130**: Ctrl-C ended ``rankway serve`` before it was ready.
"""

from collections.abc import Iterator
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
    """Print an error of our packages without a traceback, its notes below it, and exit with its status.

    more: errors of others that are reported as well, as ``OSError``, with ``remedy`` behind them and ``exit_code``.
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
    """Print one error; its text is not markup, and is not broken into lines."""
    console.print(f"error: {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def print_warning(console: Console, text: str) -> None:
    """Print one warning."""
    console.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _exit_code(error: Exception) -> int:
    changes_nothing = isinstance(error, ConfigError | RequestError) or not isinstance(error, ServiceError)
    return BAD_INPUT if changes_nothing else int(getattr(error, "exit_code", FAILED))
