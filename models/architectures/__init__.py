"""Architectures by name: ``build_architecture`` makes the module that an artifact's options describe."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from autoscale.registries.errors import RegistryError
from models.architectures.registry import ARCHITECTURES
from models.errors import ArtifactError

if TYPE_CHECKING:
    from models.architectures.base import Architecture


def build_architecture(options: Mapping[str, Any]) -> "Architecture":
    """Build the module that ``options["name"]`` and its other fields describe, with random weights.

    Raises:
        ArtifactError: the name is unknown, or the options do not fit it.
    """
    name = options.get("name")
    if not isinstance(name, str) or name not in ARCHITECTURES.builtins:
        known = ", ".join(ARCHITECTURES.builtins)
        raise ArtifactError(f"architecture.name: unknown architecture, got {name!r}; use one of {known}")
    try:
        architecture = ARCHITECTURES.get(name)
        parsed = architecture.config.model_validate(dict(options))
    except RegistryError as error:
        raise ArtifactError(f"architecture {name}: {error}") from error
    except ValidationError as error:
        raise ArtifactError(f"architecture {name}: invalid options: {error}") from error
    return architecture.build(parsed)
