"""The options ``--host`` and ``--port`` of commands that serve or ask."""

from services.config.loading import validated
from services.config.pipeline import PipelineConfig


def with_address(pipeline: PipelineConfig, host: str | None, port: int | None) -> PipelineConfig:
    """Return the pipeline with another address. None keeps the address of the file.

    Raises:
        ConfigError: the address is not valid.
    """
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    data = pipeline.model_dump(mode="json")
    data["http"].update(changes)
    return validated(data, "command line")
