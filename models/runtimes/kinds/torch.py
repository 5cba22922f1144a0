"""``kind: torch``: PyTorch, eager, or compiled to native code."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from models.artifact import Artifact
from models.runtimes.base import MOST_INSTANCES, Compiled, Runtime, RuntimeKind, RuntimeOptions


class TorchConfig(RuntimeOptions):
    """Options for PyTorch.

    Attributes:
        mode: eager runs the module operation by operation. aot loads the package that ``rankway models compile`` made
            for this machine. compile makes the same package, if there is none, while the model is loaded. That takes
            up to a minute.
        dtype: type of a history ranker's layers, with the mode eager. Its encoders and embeddings stay in 32 bits.
            Other models only have fp32.
    """

    kind: Literal["torch"] = "torch"
    mode: Literal["eager", "compile", "aot"] = "eager"
    dtype: Literal["fp32", "bf16"] = "fp32"

    @property
    def is_narrow(self) -> bool:
        """Whether the layers compute in bfloat16."""
        return self.dtype != "fp32"

    @property
    def is_compiled_ahead(self) -> bool:
        """Whether the model runs from a package."""
        return self.mode != "eager"

    @property
    def max_instances(self) -> int:
        """Any number for the mode eager, because a call changes nothing in the module. 1 for compiled modules."""
        return MOST_INSTANCES if self.mode == "eager" else 1

    @property
    def more_instances(self) -> str:
        """The remedy if ``max_instances`` is too low."""
        return "set instances: 1, or set runtime.mode: eager"

    @model_validator(mode="after")
    def _compiled_code_has_one_type(self) -> Self:
        if self.dtype != "fp32" and self.mode != "eager":
            raise ValueError(f"dtype: must be fp32 with mode: {self.mode}, got {self.dtype}; set mode: eager")
        return self


def _load(path: Path, artifact: Artifact, config: TorchConfig) -> Runtime:
    if config.mode == "compile":
        from models.runtimes.pytorch.compiled.in_child import ensure_package

        ensure_package(path, artifact, threads=config.threads)
    if config.mode != "eager":
        from models.runtimes.pytorch.compiled.ahead import AotRuntime

        return AotRuntime(path, artifact, threads=config.threads)
    from models.runtimes.pytorch.eager import TorchRuntime

    return TorchRuntime(path, artifact, threads=config.threads, dtype=config.dtype)


def _compile(path: Path, artifact: Artifact, config: TorchConfig) -> Compiled:
    from models.runtimes.pytorch.compiled.build import build_package

    return build_package(path, artifact, threads=config.threads)


RUNTIME = RuntimeKind(
    config=TorchConfig,
    suffix=".safetensors",
    load=_load,
    compile=_compile,
    packages=("torch",),
    extra="torch",
)
