"""``rankway models compile CONFIG``: compile a pipeline's models ahead of time for this machine."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.errors import exit_on_error
from models.artifact import Artifact
from models.atomic_directory import settled
from models.runtimes import compile_model
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.paths import home_directory


def compile_models(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
) -> None:
    """Compile a pipeline's models with `runtime.mode: aot` for this machine. A model takes up to a minute.

    Packages that are up to date are kept. The code runs only on CPUs with the same
    instruction sets and with the same version of PyTorch, so run this on each kind of
    node, or in its image.
    """
    console = Console(stderr=True)
    with exit_on_error(console, OSError):
        pipeline, home = load_config(config), home_directory()
        if not any([_compile(pipeline, home, name, console) for name in pipeline.models]):
            raise ConfigError(
                "no model is compiled ahead of time; set kind: torch and mode: aot",
                field="models.<name>.runtime",
            )


def _compile(pipeline: PipelineConfig, home: Path, name: str, console: Console) -> bool:
    """Compile one model. Return False if its runtime needs no compilation."""
    model = pipeline.models[name]
    root = settled(home / model.artifact)
    start_s = time.monotonic()
    with console.status(f"compiling {name}"):
        compiled = compile_model(root, Artifact.load(root), model.runtime)
    if compiled is None:
        return False
    done = f"compiled in {time.monotonic() - start_s:.0f} s" if compiled.is_new else "is up to date"
    typer.echo(f"{name}: {done}, {compiled.folder}")
    return True
