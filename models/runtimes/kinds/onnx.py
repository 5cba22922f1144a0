"""``kind: onnx``: ONNX Runtime, on the CPU by default."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from models.artifact import Artifact
from models.runtimes.base import MOST_INSTANCES, CutRuntime, Runtime, RuntimeKind, RuntimeOptions

Provider = Literal["cpu", "cuda", "tensorrt"]
Optimization = Literal["disabled", "basic", "extended", "layout", "all"]


class OnnxConfig(RuntimeOptions):
    """Options for ONNX Runtime. Their names are those of ONNX Runtime.

    Attributes:
        providers: execution providers, in order of preference. The first one that works here runs the model, except
            for operators that it lacks. If none works, the model is not loaded.
        graph_optimization_level: the graph optimisations to apply.
        graph_cache: absolute path of a folder for optimised graphs. None: every load optimises the graph. The walks
            ranker then loads in 10.1 instead of 22.7 ms.
        io_binding: bind inputs and outputs before each call instead of passing them. On CPUs a call then takes up to
            1.2 times as long.
        allow_spinning: idle threads wait actively for work. They then take time from other threads.
        cpu_mem_arena: keep the memory of a call for the next one.
        execution_mode: "parallel" runs independent branches of the graph at the same time, on ``threads`` threads.
    """

    kind: Literal["onnx"] = "onnx"
    providers: tuple[Provider, ...] = Field(default=("cpu",), min_length=1)
    graph_optimization_level: Optimization = "all"
    graph_cache: Path | None = None
    io_binding: bool = False
    allow_spinning: bool = False
    cpu_mem_arena: bool = True
    execution_mode: Literal["sequential", "parallel"] = "sequential"

    @property
    def max_instances(self) -> int:
        """Any number: several threads may run a session at once."""
        return MOST_INSTANCES

    @property
    def needs_gpu(self) -> bool:
        """Whether the model cannot be loaded without a GPU."""
        return "cpu" not in self.providers

    @field_validator("providers")
    @classmethod
    def _providers_are_in_a_possible_order(cls, providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
        if len(set(providers)) < len(providers):
            raise ValueError(
                f"expected each provider once, got {', '.join(providers)}; remove the duplicates"
            )
        if "cpu" in providers[:-1]:
            raise ValueError(
                f"expected cpu last, because it runs every model, got {', '.join(providers)}; move cpu to the end"
            )
        return providers

    @field_validator("graph_cache")
    @classmethod
    def _cache_does_not_depend_on_the_working_directory(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_absolute():
            raise ValueError(
                f"expected an absolute path, got {str(folder)!r}; name a folder such as /var/cache/rankway"
            )
        return folder

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        if self.execution_mode == "parallel" and self.threads == 1:
            raise ValueError(
                "execution_mode: parallel needs several threads, got threads: 1; set threads to 2 or more, or "
                "execution_mode: sequential"
            )
        on_gpu = ", ".join(name for name in self.providers if name != "cpu")
        if on_gpu and self.execution_mode == "parallel":
            raise ValueError(
                f"execution_mode: must be sequential on a GPU, got parallel with providers: {on_gpu}; remove "
                f"execution_mode"
            )
        if on_gpu and self.graph_cache is not None:
            raise ValueError(
                f"graph_cache: holds only graphs for the CPU, got providers: {on_gpu}; remove graph_cache, or set "
                f"providers: [cpu]"
            )
        return self


def _load(path: Path, artifact: Artifact, config: OnnxConfig) -> Runtime:
    from models.runtimes.onnx import OnnxRuntime

    return OnnxRuntime(path, artifact.signature, config)


def _load_cut(path: Path, artifact: Artifact, config: OnnxConfig) -> CutRuntime:
    from models.runtimes.onnx.split_history import OnnxCutRuntime

    return OnnxCutRuntime(path, artifact.signature, config)


RUNTIME = RuntimeKind(config=OnnxConfig, suffix=".onnx", load=_load, load_cut=_load_cut)
