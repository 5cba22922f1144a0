"""Architectures by name: ``build_architecture`` builds a module from the options in an artifact.

The modules of the history ranker and of DLRM import only PyTorch, so that a benchmark can run them on any machine.
A test checks this.

Docstrings use these letters for tensor sizes:

- N candidates and B requests in a batch, M candidates in the longest list;
- R chunks with C candidates each: a chunk belongs to one request, and long lists are cut into several chunks;
- L items in the longest history;
- P text pairs, with L tokens in the longest.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.architectures.base import Architecture


def build_architecture(options: Mapping[str, Any]) -> "Architecture":
    """Build a module with random weights from an architecture's options.

    Args:
        options: ``name``, a key of the registry, and the other options.

    Raises:
        ArtifactError: the name is unknown, or the options do not fit the architecture.
    """
    from pydantic import ValidationError

    from autoscale.registries.errors import RegistryError
    from models.architectures.registry import ARCHITECTURES
    from models.errors import ArtifactError

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
