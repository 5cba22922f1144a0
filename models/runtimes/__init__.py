"""Runtimes: ``load_runtime`` opens an artifact with the runtime its pipeline names, or cut in two."""

from pathlib import Path
from typing import TYPE_CHECKING

from models.artifact import GOLDEN, Artifact
from models.errors import RuntimeFailure
from models.runtimes.base import (
    AccelerateConfig,
    DeepSpeedConfig,
    OnnxConfig,
    Runtime,
    RuntimeConfig,
    TorchConfig,
    group_of,
)

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from models.runtimes.split_history import CutRuntime

_SUFFIX = {
    "onnx": ".onnx",
    "torch": ".safetensors",
    "deepspeed": ".safetensors",
    "accelerate": ".safetensors",
}


def load_runtime(root: Path, artifact: Artifact, config: RuntimeConfig) -> Runtime:
    """Load the artifact at ``root``.

    Raises:
        RuntimeFailure: it has no weights for that runtime, or they do not fit the signature or architecture; or the
        runtime is one of a shard group, which loads it in every rank.
    """
    path = root / _weights_for(artifact, config)
    if group_of(config) is not None:
        raise RuntimeFailure(
            f"the runtime {config.kind} of several ranks needs a shard group: serve {artifact.name} by rankway serve"
        )
    match config:
        case OnnxConfig():
            from models.runtimes.onnx import OnnxRuntime

            return OnnxRuntime(path, artifact.signature, threads=config.threads)
        case TorchConfig():
            from models.runtimes.torch import TorchRuntime

            return TorchRuntime(path, artifact, threads=config.threads)
        case AccelerateConfig():
            try:
                from models.runtimes.accelerate import AccelerateRuntime
            except ImportError as error:
                raise RuntimeFailure(
                    f"the package {error.name} is not installed: pip install 'rankway[sharding]'"
                ) from error

            return AccelerateRuntime(path, artifact, config)
    raise AssertionError(f"{config.kind} has no runtime")


def load_rank_runtime(
    root: Path, artifact: Artifact, config: RuntimeConfig, group: "ProcessGroup"
) -> Runtime:
    """Load one rank's part of the artifact at ``root``, in a process that is in that group.

    Raises:
        RuntimeFailure: as ``load_runtime``, or the model cannot be split so.
    """
    if group_of(config) is None:
        raise RuntimeFailure(f"the runtime {config.kind} is not one of a shard group: use load_runtime")
    path = root / _weights_for(artifact, config)
    if isinstance(config, AccelerateConfig):
        from models.runtimes.pipeline.runtime import PipelineRuntime

        return PipelineRuntime(path, artifact, config, group)
    assert isinstance(config, DeepSpeedConfig)
    from models.runtimes.deepspeed import DeepSpeedRuntime

    return DeepSpeedRuntime(path, artifact, config)


def load_cut_runtime(root: Path, artifact: Artifact, config: RuntimeConfig) -> "CutRuntime":
    """Load the artifact at ``root``, cut where it has encoded the history.

    Raises:
        RuntimeFailure: as ``load_runtime``, or the model cannot be cut.
    """
    if config.kind != "onnx":
        raise RuntimeFailure(
            f"the runtime {config.kind} cannot cut {artifact.name} in two: use runtime.kind onnx"
        )
    from models.runtimes.split_history import CutRuntime

    return CutRuntime(root / _weights_for(artifact, config), artifact.signature, threads=config.threads)


def _weights_for(artifact: Artifact, config: RuntimeConfig) -> str:
    if config.kind == "auto":
        raise RuntimeFailure(
            f"the runtime of {artifact.name} is auto: one is chosen before a pipeline is served"
        )
    suffix = _SUFFIX[config.kind]
    names = [name for name in (artifact.weights, *artifact.files) if name != GOLDEN]
    candidates = [name for name in names if name.endswith(suffix)]
    if not candidates:
        raise RuntimeFailure(
            f"artifact {artifact.name} has no {suffix} file for the runtime {config.kind}; it has "
            f"{', '.join(artifact.files)}: choose another runtime.kind, or export the model for this one"
        )
    return candidates[0]
