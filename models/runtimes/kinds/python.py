"""``kind: python``: the user's own class, given by module and class name."""

import inspect
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field, field_validator

from autoscale.registries.errors import PLUGIN_ERRORS, LoadFailure, Untrusted
from autoscale.registries.targets import PATTERN, load_target
from autoscale.registries.trust import refuse_untrusted
from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.base import Runtime, RuntimeKind, RuntimeOptions


class PythonRuntime(Protocol):
    """The interface of the class that ``target`` names. Calling it makes a ``Runtime`` from an artifact."""

    def __call__(self, folder: Path, artifact: Artifact, *, threads: int, **options: Any) -> Runtime:
        """Load the model. Any error is reported with its type and message.

        Args:
            folder: the artifact's folder. Its files have been verified.
            artifact: its ``artifact.yaml``.
            threads: CPU threads per call.
            **options: the fields under ``options``.
        """
        ...


class PythonConfig(RuntimeOptions):
    """The user's own class.

    Attributes:
        target: the class as "package.module:Class". The pipeline must list the package under ``trust``.
        options: further arguments for the class, by name.
    """

    kind: Literal["python"]
    target: str = Field(pattern=PATTERN)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("target")
    @classmethod
    def _is_trusted(cls, target: str) -> str:
        try:
            refuse_untrusted(target)
        except Untrusted as error:
            raise ValueError(str(error)) from error
        return target


def _make(config: PythonConfig) -> PythonRuntime:
    try:
        factory = load_target(config.target)
    except LoadFailure as error:
        raise RuntimeFailure(f"runtime.target: {error}") from error
    if not callable(factory) or (isinstance(factory, type) and not callable(getattr(factory, "run", None))):
        raise RuntimeFailure(
            f"runtime.target: expected a class with a method run(inputs), got {config.target!r}, "
            f"{'a class without run' if isinstance(factory, type) else f'a {type(factory).__name__}'}; name such "
            f"a class"
        )
    make: PythonRuntime = factory
    return make


def _check(config: PythonConfig) -> None:
    make = _make(config)
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # a class written in C may have no signature
        return
    try:
        signature.bind(Path(), None, threads=config.threads, **config.options)
    except TypeError as error:
        raise RuntimeFailure(
            f"runtime.options: {config.target} does not take these arguments: {error}; correct the options, or its "
            f"signature: (folder, artifact, *, threads, **options)"
        ) from error


def _load(folder: Path, artifact: Artifact, config: PythonConfig) -> Runtime:
    make = _make(config)
    try:
        runtime = make(folder, artifact, threads=config.threads, **config.options)
    except PLUGIN_ERRORS as error:
        raise RuntimeFailure(
            f"runtime.target: {config.target} cannot load {artifact.name}: {type(error).__name__}: {error}; "
            f"fix its code, or correct runtime.options"
        ) from error
    if not callable(getattr(runtime, "run", None)):
        raise RuntimeFailure(
            f"runtime.target: {config.target} must return an object with a method run(inputs), got a "
            f"{type(runtime).__name__}"
        )
    return runtime


RUNTIME = RuntimeKind(config=PythonConfig, load=_load, check=_check)
