"""Runtimes load an artifact and execute it.

- ``load_runtime`` loads the model into one process.
- ``load_rank_runtime`` loads one rank's part in a shard group.
- ``load_cut_runtime`` loads the model as two graphs, so that encoded histories can be reused.
- ``compile_model`` compiles the model ahead of time for this machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from autoscale.registries.errors import PLUGIN_ERRORS, RegistryError
from autoscale.registries.targets import missing_package
from models.artifact import GOLDEN, Artifact
from models.errors import ModelError, RuntimeFailure
from models.extras import require
from models.runtimes.base import (
    AnyRuntimeKind,
    Compiled,
    CutRuntime,
    Held,
    Runtime,
    RuntimeOptions,
    group_of,
)
from models.runtimes.kinds.registry import RUNTIMES
from models.runtimes.weight_sizes import Weights, weights_of

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def load_runtime(root: Path, artifact: Artifact, config: RuntimeOptions) -> Runtime:
    """Load the artifact at ``root`` into this process.

    Raises:
        RuntimeFailure: the artifact has no weights for the runtime, the weights do not fit its signature or
            architecture, or the runtime needs a shard group.
    """
    kind = runtime_kind(config)
    path = root / _weights_for(artifact, config, kind)
    if group_of(config) is not None or kind.load is None:
        raise RuntimeFailure(
            f"runtime.kind: {config.kind} needs a shard group, which only a served pipeline has; serve "
            f"{artifact.name} with "
            f"rankway serve"
        )
    with _engine_of(kind, config):
        return kind.load(path, artifact, config)


def load_rank_runtime(
    root: Path, artifact: Artifact, config: RuntimeOptions, group: "ProcessGroup"
) -> Runtime:
    """Load one rank's part of the artifact at ``root``. Call this in every process of the group.

    Raises:
        RuntimeFailure: as for ``load_runtime``, or the model cannot be split over this number of ranks.
    """
    kind = runtime_kind(config)
    if group_of(config) is None or kind.load_rank is None:
        raise RuntimeFailure(f"runtime.kind: {config.kind} uses no shard group; use load_runtime")
    with _engine_of(kind, config):
        return kind.load_rank(root / _weights_for(artifact, config, kind), artifact, config, group)


def load_cut_runtime(root: Path, artifact: Artifact, config: RuntimeOptions) -> CutRuntime:
    """Load the artifact at ``root``, cut in two after the encoded history.

    Raises:
        RuntimeFailure: as for ``load_runtime``, or the model cannot be cut.
    """
    kind = runtime_kind(config)
    if kind.load_cut is None:
        raise RuntimeFailure(
            f"runtime.kind: {config.kind} cannot cut {artifact.name} in two; use runtime.kind: onnx"
        )
    with _engine_of(kind, config):
        return kind.load_cut(root / _weights_for(artifact, config, kind), artifact, config)


def compile_model(root: Path, artifact: Artifact, config: RuntimeOptions) -> Compiled | None:
    """Compile the artifact at ``root`` for this machine. Return None if its runtime needs no compilation.

    Raises:
        RuntimeFailure: the artifact has no weights for the runtime, or the model cannot be compiled here.
        OSError: the result cannot be written.
    """
    kind = runtime_kind(config)
    if kind.compile is None or not config.is_compiled_ahead:
        return None
    with _engine_of(kind, config):
        return kind.compile(root / _weights_for(artifact, config, kind), artifact, config)


def check_runtime(config: RuntimeOptions) -> None:
    """Check everything that the options need besides the artifact, such as packages and a named class.

    The engine's packages are looked up before anything imports them.

    Raises:
        RuntimeFailure: something that the options name does not exist, or cannot be used.
        MissingPackage: one of the engine's packages is not installed.
    """
    kind = runtime_kind(config)
    if kind.extra is not None:
        require(kind.packages, kind.extra)
    is_builtin = config.kind in RUNTIMES.builtins
    if not is_builtin and not callable(kind.load) and not callable(kind.load_rank):
        raise RuntimeFailure(
            f"runtime.kind: the descriptor of {config.kind} has no function load or load_rank; add one"
        )
    if kind.check is not None:
        with _plugin_of(config):
            kind.check(config)


def check_model(root: Path, artifact: Artifact, config: RuntimeOptions) -> None:
    """Check that a runtime can load an artifact, and split it over its ranks. Only file headers are read.

    Args:
        root: the artifact's folder.
        artifact: its manifest.
        config: the runtime. ``auto`` must have been replaced.

    Raises:
        RuntimeFailure: the artifact has no file for the runtime, or cannot be split. The field comes first.
        ArtifactError: the safetensors file cannot be read.
    """
    _weights_for(artifact, config, runtime_kind(config))
    if group_of(config) is not None:
        held_weights(config, weights_of(root, artifact))


def held_weights(config: RuntimeOptions, weights: Weights) -> Held:
    """Return the weights that one rank holds in memory.

    Raises:
        RuntimeFailure: the model cannot be split over the ranks, or a plug-in runtime failed.
    """
    kind = runtime_kind(config)
    with _plugin_of(config):
        held = kind.held(config, weights)
        return Held(int(held.rank_bytes), str(held.why))


def runtime_kind(config: RuntimeOptions) -> AnyRuntimeKind:
    """Return the descriptor of a runtime's kind.

    Raises:
        RuntimeFailure: the descriptor cannot be loaded.
    """
    try:
        return RUNTIMES.for_config(config)
    except RegistryError as error:
        raise RuntimeFailure(f"runtime.kind: {error}") from error


@contextmanager
def _engine_of(kind: AnyRuntimeKind, config: RuntimeOptions) -> Iterator[None]:
    try:
        with _plugin_of(config):
            yield
    except ModuleNotFoundError as error:
        if kind.extra is None:
            raise RuntimeFailure(
                f"runtime.kind: {config.kind} needs the package {error.name}, which is not installed; install "
                f"{error.name}"
            ) from error
        raise RuntimeFailure(missing_package(error.name, kind.extra)) from error


@contextmanager
def _plugin_of(config: RuntimeOptions) -> Iterator[None]:
    """Turn errors from another package's runtime into RuntimeFailure.

    Unexpected errors from a built-in runtime pass unchanged.
    """
    try:
        yield
    except PLUGIN_ERRORS as error:
        if isinstance(error, ModelError | ModuleNotFoundError) or config.kind in RUNTIMES.builtins:
            raise
        raise RuntimeFailure(
            f"runtime: {config.kind} failed: {type(error).__name__}: {error}; correct its options, or fix its package"
        ) from error


def _weights_for(artifact: Artifact, config: RuntimeOptions, kind: AnyRuntimeKind) -> str:
    if config.kind == "auto":
        raise RuntimeFailure(
            f"runtime.kind: auto cannot load {artifact.name} itself, because a served pipeline replaces auto by "
            f"another kind; "
            f"name a kind"
        )
    if kind.suffix is None:
        return ""
    names = [name for name in (artifact.weights, *artifact.files) if name != GOLDEN]
    candidates = [name for name in names if name.endswith(kind.suffix)]
    if not candidates:
        remedy = (
            f"choose another runtime.kind, or export the model for {config.kind}"
            if artifact.runtime is None
            else f"set runtime.kind: {artifact.runtime}, which the import has chosen"
        )
        raise RuntimeFailure(
            f"runtime.kind: artifact {artifact.name} has no {kind.suffix} file for {config.kind}, got "
            f"{', '.join(artifact.files)}; {remedy}"
        )
    return candidates[0]
