"""``rankway check FILE...``: is a pipeline's YAML right, and is all that it names there."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.check import check_artifacts, store_warnings
from services.config import load_config
from services.errors import ConfigError
from services.home import home_directory


def check(
    files: Annotated[list[Path], typer.Argument(help="Pipelines' YAML files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Validate pipelines: unknown keys, ranges, missing or unfit artifacts. Exit 2 on a fault."""
    faults = {str(path): _faults_of(path) for path in files}
    failed = any(faults.values())
    if as_json:
        typer.echo(json.dumps(faults, indent=2))
    else:
        console = Console()
        for path, lines in faults.items():
            console.print(f"{path}: " + ("[red]faulty[/]" if lines else "[green]ok[/]"), highlight=False)
            for warning in _warnings_of(Path(path)) if not lines else []:
                console.print(f"  warning: {warning}", highlight=False, markup=False, soft_wrap=True)
            for line in lines:
                console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(2)


def _faults_of(path: Path) -> list[str]:
    try:
        return check_artifacts(load_config(path), home_directory())
    except ConfigError as error:
        return str(error).splitlines()


def _warnings_of(path: Path) -> list[str]:
    return store_warnings(load_config(path), home_directory())
