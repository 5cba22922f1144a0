"""The artifact that an import writes, and the pipeline that will serve it."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from models.artifact import Artifact
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.paths import home_directory


@dataclass(frozen=True)
class Place:
    """Where the artifact goes, and the pipeline that will serve it."""

    root: Path
    name: str
    pipeline: PipelineConfig | None
    model: str | None


def place_of(out: Path | None, config: Path | None, model: str | None, name: str | None) -> Place:
    """Return the place of an import from the command's arguments.

    Raises:
        ConfigError: an argument is missing, or the pipeline has no such model.
    """
    if (config is None) != (model is None):
        raise ConfigError("expected --config and --model together, got only one; give both or none")
    if config is None:
        if out is None or name is None:
            raise ConfigError("expected --config and --model of a pipeline, or a folder OUT with --name")
        return Place(out, name, None, None)
    pipeline = load_config(config)
    if model not in pipeline.models:
        raise ConfigError(
            f"must be in models of {config}, got {model!r}; name one of {', '.join(pipeline.models) or 'none'}",
            field="--model",
        )
    root = home_directory() / pipeline.models[model].artifact if out is None else out
    return Place(root, name or model, pipeline, model)


def named(artifact: Artifact) -> str:
    """Return an artifact's name and version."""
    return f"{artifact.name} {artifact.version}"


def say(console: Console, *lines: str) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
