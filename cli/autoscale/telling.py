"""How the group's commands tell of errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from autoscale.errors import AutoscaleError
from models.errors import ModelError
from services.errors import ServiceError


@contextmanager
def told(console: Console) -> Iterator[None]:
    """Print what the caller can mend, and exit with 2."""
    try:
        yield
    except (AutoscaleError, ServiceError, ModelError) as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
