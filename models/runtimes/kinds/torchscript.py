"""``kind: torchscript``: a traced and frozen module. PyTorch deprecates TorchScript since version 2.11."""

from pathlib import Path
from typing import Literal

from models.artifact import Artifact
from models.runtimes.base import MOST_INSTANCES, Runtime, RuntimeKind, RuntimeOptions


class TorchScriptConfig(RuntimeOptions):
    """Options for TorchScript. The module is traced and frozen while it is loaded, so no TorchScript file is needed."""

    kind: Literal["torchscript"]

    @property
    def max_instances(self) -> int:
        """Any number: several threads may run a module at once."""
        return MOST_INSTANCES


def _load(path: Path, artifact: Artifact, config: TorchScriptConfig) -> Runtime:
    from models.runtimes.pytorch.torchscript import TorchScriptRuntime

    return TorchScriptRuntime(path, artifact, threads=config.threads)


RUNTIME = RuntimeKind(
    config=TorchScriptConfig, suffix=".safetensors", load=_load, packages=("torch",), extra="torch"
)
