"""``kind: torch``: eager PyTorch."""

from pathlib import Path
from typing import Literal

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeKind, RuntimeOptions


class TorchConfig(RuntimeOptions):
    """Options for eager PyTorch."""

    kind: Literal["torch"] = "torch"


def _load(path: Path, artifact: Artifact, config: TorchConfig) -> Runtime:
    from models.runtimes.torch import TorchRuntime

    return TorchRuntime(path, artifact, threads=config.threads)


RUNTIME = RuntimeKind(
    config=TorchConfig, suffix=".safetensors", load=_load, packages=("torch",), extra="torch"
)
