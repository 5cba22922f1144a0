"""``rankway models``: artifacts on disk, imports, packages compiled ahead of time, compression, and unit profiles."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.errors import exit_on_error
from cli.models.bench import bench
from cli.models.compile import compile_models
from cli.models.compress import compress
from cli.models.imports import import_model
from cli.models.show import show
from models.artifact import MANIFEST, Artifact
from models.atomic_directory import is_of_a_writer
from services.paths import home_directory

app = typer.Typer(
    help="List, show, import, compile and compress models; measure units.",
    no_args_is_help=True,
)
app.command()(bench)
app.command("import")(import_model)
app.command("compile")(compile_models)
app.command()(compress)
app.command()(show)


@app.command("list")
def list_artifacts(
    folder: Annotated[Path | None, typer.Argument(help="Folder to search. Default: the data home.")] = None,
) -> None:
    """List all artifacts below a folder."""
    console = Console()
    root = folder or home_directory()
    table = Table("folder", "name", "version", "files", box=None)
    with exit_on_error(Console(stderr=True), OSError):
        for path in sorted(
            path for path in root.rglob(MANIFEST) if not is_of_a_writer(path.relative_to(root))
        ):
            artifact = Artifact.read(path.parent)
            table.add_row(
                str(path.parent.relative_to(root)), artifact.name, artifact.version, ", ".join(artifact.files)
            )
    console.print(table)
