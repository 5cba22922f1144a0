"""Load a pipeline's YAML into its configuration, and report each fault on its own line."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.documents.faults import fault_lines
from models.documents.reading import read_document
from models.errors import DocumentError
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError


def load_config(path: Path) -> PipelineConfig:
    """Read and validate one YAML file.

    Raises:
        ConfigError: the file has faults. Each is one line with the field, the problem and the value.
    """
    try:
        data, text = read_document(path)
    except DocumentError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of fields; see configs/walks.yaml for an example")
    return validated(data, str(path), text)


def validated(data: dict[str, Any], source: str, text: str | None = None) -> PipelineConfig:
    """Return the configuration in ``data``.

    Args:
        data: the fields.
        source: the origin of the data, for errors.
        text: the YAML from which the data were read. With it, errors have line numbers.

    Raises:
        ConfigError: the data have faults. Each is one line with the field, the problem and the value.
    """
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(fault_lines(error, data, PipelineConfig, source, text))) from error
