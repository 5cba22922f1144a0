"""The log of a pipeline that has items but no events: its training data."""

from pathlib import Path

from services.config.pipeline import PipelineConfig
from services.errors import ConfigError


def own_log(pipeline: PipelineConfig, home: Path) -> Path:
    """Return the folder of the pipeline's log, from which a pipeline without events is trained.

    Raises:
        ConfigError: there is no log, or it is not on this machine.
    """
    if pipeline.log is None:
        raise ConfigError(
            f"missing in pipeline {pipeline.name}, which has no events to train on; add log: {{path: "
            f"{pipeline.name}/served}} and serve it, or name a log with --from-log",
            field="log",
        )
    place = pipeline.log.path
    if "://" in place or "::" in place:
        raise ConfigError(
            f"must be a folder on this machine to train from it, got {place}; copy it, and name the copy with "
            f"--from-log",
            field="log.path",
        )
    folder = home / place
    if not any(folder.glob("lists-*.parquet")):
        raise ConfigError(
            f"no shown lists yet, got {folder}; serve the pipeline and ask for rankings first. A service writes its "
            f"log once a minute, and when it stops",
            field="log.path",
        )
    return folder
