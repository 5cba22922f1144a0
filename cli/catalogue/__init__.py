"""``rankway catalogue``: build a catalogue from a table, and add, change and remove items while it is served."""

import typer

from cli.catalogue.build import build
from cli.catalogue.changes import add, remove
from cli.catalogue.compact import compact

app = typer.Typer(help="Build a catalogue; add and remove items while it is served.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Build a catalogue; add and remove items while it is served."""


for command in (build, add, remove, compact):
    app.command()(command)
