"""Runtimes: ``load_runtime`` opens an artifact with the runtime its pipeline names, or cut in two."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from autoscale.registries.errors import RegistryError
from autoscale.registries.targets import missing_package
from models.artifact import GOLDEN, Artifact
from models.errors import RuntimeFailure
from models.extras import require
from models.runtimes.base import AnyRuntimeKind, Runtime, RuntimeOptions, group_of
from models.runtimes.kinds.registry import RUNTIMES

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from models.runtimes.split_history import CutRuntime


def load_runtime(root: Path, artifact: Artifact, config: RuntimeOptions) -> Runtime:
    """Load the artifact at ``root``.

    Raises:
        RuntimeFailure: it has no weights for that runtime, or they do not fit the signature or architecture; or the
        runtime is one of a shard group, which loads it in every rank.
    """
    kind = runtime_kind(config)
    path = root / _weights_for(artifact, config, kind)
    if group_of(config) is not None or kind.load is None:
        raise RuntimeFailure(
            f"the runtime {config.kind} of several ranks needs a shard group: serve {artifact.name} by rankway serve"
        )
    with _engine_of(kind):
        return kind.load(path, artifact, config)


def load_rank_runtime(
    root: Path, artifact: Artifact, config: RuntimeOptions, group: "ProcessGroup"
) -> Runtime:
    """Load one rank's part of the artifact at ``root``, in a process that is in that group.

    Raises:
        RuntimeFailure: as ``load_runtime``, or the model cannot be split so.
    """
    kind = runtime_kind(config)
    if group_of(config) is None or kind.load_rank is None:
        raise RuntimeFailure(f"the runtime {config.kind} is not one of a shard group: use load_runtime")
    with _engine_of(kind):
        return kind.load_rank(root / _weights_for(artifact, config, kind), artifact, config, group)


def load_cut_runtime(root: Path, artifact: Artifact, config: RuntimeOptions) -> "CutRuntime":
    """Load the artifact at ``root``, cut where it has encoded the history.

    Raises:
        RuntimeFailure: as ``load_runtime``, or the model cannot be cut.
    """
    kind = runtime_kind(config)
    if kind.load_cut is None:
        raise RuntimeFailure(
            f"the runtime {config.kind} cannot cut {artifact.name} in two: use runtime.kind onnx"
        )
    with _engine_of(kind):
        return kind.load_cut(root / _weights_for(artifact, config, kind), artifact, config)


def check_runtime(config: RuntimeOptions) -> None:
    """Check what the options name besides the artifact, such as a class, before anything of it is imported.

    Raises:
        RuntimeFailure: it is not there, or cannot be used. MissingPackage: a package of the engine is not installed.
    """
    kind = runtime_kind(config)
    if kind.extra is not None:
        require(kind.packages, kind.extra)
    if kind.check is not None:
        kind.check(config)


def runtime_kind(config: RuntimeOptions) -> AnyRuntimeKind:
    """Return the descriptor of a runtime's kind.

    Raises:
        RuntimeFailure: it cannot be loaded.
    """
    try:
        return RUNTIMES.for_config(config)
    except RegistryError as error:
        raise RuntimeFailure(f"runtime.kind: {error}") from error


@contextmanager
def _engine_of(kind: AnyRuntimeKind) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if kind.extra is None:
            raise RuntimeFailure(
                f"the package {error.name} is not installed, which the runtime imports: install it"
            ) from error
        raise RuntimeFailure(missing_package(error.name, kind.extra)) from error


def _weights_for(artifact: Artifact, config: RuntimeOptions, kind: AnyRuntimeKind) -> str:
    if config.kind == "auto":
        raise RuntimeFailure(
            f"the runtime of {artifact.name} is auto: one is chosen before a pipeline is served"
        )
    if kind.suffix is None:
        return ""
    names = [name for name in (artifact.weights, *artifact.files) if name != GOLDEN]
    candidates = [name for name in names if name.endswith(kind.suffix)]
    if not candidates:
        raise RuntimeFailure(
            f"artifact {artifact.name} has no {kind.suffix} file for the runtime {config.kind}; it has "
            f"{', '.join(artifact.files)}: choose another runtime.kind, or export the model for this one"
        )
    return candidates[0]
