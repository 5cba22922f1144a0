"""Plug-ins: an error in another package's code becomes an error in the configuration that names the code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from autoscale.registries.errors import PLUGIN_ERRORS, RegistryError
from autoscale.registries.registry import Registry
from models.errors import ModelError
from services.errors import ConfigError, ServiceError


@contextmanager
def opening(registry: Registry[Any], config: BaseModel, field: str) -> Iterator[None]:
    """Turn the block's errors into ``ConfigError``. The block opens the object that ``config`` at ``field`` describes.

    Unexpected errors from a built-in kind stay unchanged.

    Raises:
        ConfigError: the code cannot be loaded, or another package's code raised an error.
    """
    kind: str = getattr(config, "kind")  # noqa: B009  # every class of options has one
    try:
        yield
    except RegistryError as error:
        raise ConfigError(str(error), field=f"{field}.kind") from error
    except (ServiceError, ModelError):
        raise
    except PLUGIN_ERRORS as error:
        if kind in registry.builtins:
            raise
        raise ConfigError(
            f"kind {kind} cannot be opened: {type(error).__name__}: {error}; correct its options, or fix its package",
            field=field,
        ) from error
