"""Load a pipeline's YAML into its configuration, and report each fault on its own line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from services.config.pipeline import PipelineConfig
from services.errors import ConfigError


def load_config(path: Path) -> PipelineConfig:
    """Read and validate one YAML file.

    Raises:
        ConfigError: the file has faults. Each is one line with the field, the problem and the value.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _ClosedLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(
            f"{path}: cannot be read: {error}; correct the path, or the YAML in the file"
        ) from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of fields; see configs/walks.yaml for an example")
    return validated(data, str(path))


def validated(data: dict[str, Any], source: str) -> PipelineConfig:
    """Return the configuration in ``data``. In errors, ``source`` names the origin of the data.

    Raises:
        ConfigError: the data have faults. Each is one line with the field, the problem and the value.
    """
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {line}" for line in _fault_lines(error, data))) from error


class _ClosedLoader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys. PyYAML's own loader silently keeps the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{key} is given twice; remove one of them", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def _fault_lines(error: ValidationError, data: dict[str, Any]) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        field = _field(fault["loc"], data)
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            lines.append(f"{field}: no such field; remove it or correct its name")
        elif fault["type"] == "missing":
            lines.append(f"{field}: missing; add it")
        elif fault["type"] == "tuple_type":
            lines.append(f"{field}: expected a list, got {fault['input']!r}")
        else:
            has_value = isinstance(fault["input"], dict) or ", got " in message
            shown = "" if has_value else f", got {fault['input']!r}"
            # A rule about several fields has no field of its own. Its message names the fields.
            lines.append(f"{field}: {message}{shown}" if field else message)
    return lines


def _field(location: tuple[int | str, ...], data: Any) -> str:
    """Return the path of a field in the data.

    If the field is a union of kinds, Pydantic adds the ``kind`` to the location. The kind is left out here.
    """
    path = []
    for part in location:
        if isinstance(data, dict) and part not in data and part == data.get("kind"):
            continue
        path.append(str(part))
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
    return ".".join(path)
