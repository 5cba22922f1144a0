"""``kind: torch``: PyTorch, eager, compiled in the process, or compiled ahead of time."""

from pathlib import Path
from typing import Literal

from models.artifact import Artifact
from models.runtimes.base import Compiled, Runtime, RuntimeKind, RuntimeOptions


class TorchConfig(RuntimeOptions):
    """Options for PyTorch.

    Attributes:
        mode: eager runs the module operation by operation. compile compiles it with torch.compile while it is loaded,
            which takes up to a minute. aot loads the package that ``rankway models compile`` made for this machine.
    """

    kind: Literal["torch"] = "torch"
    mode: Literal["eager", "compile", "aot"] = "eager"

    @property
    def is_compiled_ahead(self) -> bool:
        """Whether the model runs from a package."""
        return self.mode == "aot"


def _load(path: Path, artifact: Artifact, config: TorchConfig) -> Runtime:
    if config.mode == "compile":
        from models.runtimes.compiled.in_process import CompiledRuntime

        return CompiledRuntime(path, artifact, threads=config.threads)
    if config.mode == "aot":
        from models.runtimes.compiled.ahead import AotRuntime

        return AotRuntime(path, artifact, threads=config.threads)
    from models.runtimes.torch import TorchRuntime

    return TorchRuntime(path, artifact, threads=config.threads)


def _compile(path: Path, artifact: Artifact, config: TorchConfig) -> Compiled:
    from models.runtimes.compiled.build import build_package

    return build_package(path, artifact, threads=config.threads)


RUNTIME = RuntimeKind(
    config=TorchConfig,
    suffix=".safetensors",
    load=_load,
    compile=_compile,
    packages=("torch",),
    extra="torch",
)
