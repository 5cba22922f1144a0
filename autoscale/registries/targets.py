"""Targets: strings such as "package.module:attribute" that name a Python object."""

import re
from importlib import import_module
from types import ModuleType
from typing import Any

from autoscale.registries.errors import PLUGIN_ERRORS, LoadFailure
from autoscale.registries.trust import NAME

PATTERN = rf"^{NAME}:{NAME}$"


def load_target(target: str, *, extra: str | None = None) -> Any:
    """Import a target's module and return the attribute.

    Args:
        target: "package.module:attribute".
        extra: rankway's extra with the packages that the module imports.

    Raises:
        LoadFailure: the target is malformed, the module cannot be imported, or it lacks the attribute.
    """
    module, _, attribute = target.partition(":")
    if not re.fullmatch(PATTERN, target):
        raise LoadFailure(
            f"expected a target of the form package.module:attribute, got {target!r}; correct it"
        )
    try:
        target_object: Any = import_module(module)
    except ModuleNotFoundError as error:
        raise LoadFailure(_missing(target, error.name or module, extra)) from error
    except PLUGIN_ERRORS as error:
        raise LoadFailure(
            f"the module {module} cannot be imported: {type(error).__name__}: {error}; fix the module"
        ) from error
    for name in attribute.split("."):
        try:
            target_object = getattr(target_object, name)
        except AttributeError as error:
            raise LoadFailure(
                f"the module {module} has no {attribute}, got {target!r}; name an attribute of this module"
            ) from error
        except PLUGIN_ERRORS as error:
            raise LoadFailure(
                f"the module {module} fails to return {attribute}: {type(error).__name__}: {error}; fix the module"
            ) from error
        if isinstance(target_object, ModuleType):  # it may belong to a package that is not trusted
            raise LoadFailure(
                f"the attribute is not in this module, got {target!r}; before the colon, write the module that has it"
            )
    return target_object


def _missing(target: str, package: str, extra: str | None) -> str:
    if extra is not None:
        return missing_package(package, extra)
    module = target.partition(":")[0]
    if f"{module}.".startswith(f"{package}."):
        return f"there is no module {package}, got {target!r}; install the package, or correct the name"
    return f"{target} needs the package {package}, which is not installed; install {package}"


def missing_package(package: str | None, extra: str) -> str:
    """Return the message about a package that one of rankway's extras installs."""
    return f"the package {package} is not installed; pip install 'rankway[{extra}]'"
