"""``kind: accelerate``: Accelerate's dispatch in one process, or a pipeline over a shard group's ranks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.base import GroupOptions, Held, Runtime, RuntimeKind, held_whole
from models.runtimes.weight_sizes import MIB, Weights

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

GpuNumber = Annotated[int, Field(ge=0, lt=64)]
MemoryMib = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class AccelerateConfig(GroupOptions):
    """Accelerate's dispatch over GPUs, main memory and disk. With several shards, a pipeline of ranks.

    Attributes:
        max_memory_mib: weight budget in MiB per device, "cpu" or a GPU index, including weights read from disk.
            Devices not listed are unused. Weights that fit nowhere stay on disk. Default: all free memory.
        dtype: dtype of linear layers and their outputs.
        micro_batches: maximum number of parts into which a pipeline cuts a batch. With several parts, the ranks
            compute at the same time. The number with the least expected time is used.
    """

    kind: Literal["accelerate"]
    max_memory_mib: dict[Literal["cpu"] | GpuNumber, MemoryMib] = Field(default_factory=dict)
    dtype: Literal["fp32", "bf16"] = "fp32"
    micro_batches: int = Field(default=4, ge=1, le=256)

    @property
    def is_narrow(self) -> bool:
        """Whether linear layers compute in bfloat16."""
        return self.dtype != "fp32"

    @model_validator(mode="after")
    def _budgets_are_of_one_process(self) -> Self:
        if self.max_memory_mib and self.shards > 1:
            raise ValueError(
                f"max_memory_mib: allowed only with shards: 1, because a pipeline rank holds all its layers in memory, "
                f"got shards: {self.shards}; remove max_memory_mib, or set shards: 1"
            )
        return self


def _load(path: Path, artifact: Artifact, config: AccelerateConfig) -> Runtime:
    from models.runtimes.dispatch.runtime import AccelerateRuntime

    return AccelerateRuntime(path, artifact, config)


def _load_rank(path: Path, artifact: Artifact, config: AccelerateConfig, group: "ProcessGroup") -> Runtime:
    from models.runtimes.pipeline.runtime import PipelineRuntime

    return PipelineRuntime(path, artifact, config, group)


def _held(config: AccelerateConfig, weights: Weights) -> Held:
    """Return the weights that one rank holds, with the part that stays on disk in the explanation.

    Raises:
        RuntimeFailure: there are fewer layers than ranks.
    """
    if 0 < weights.layers < config.shards:
        raise RuntimeFailure(
            f"runtime.shards: must be at most the number of layers, {weights.layers}, got {config.shards}; lower it"
        )
    narrowed, whole = weights.split_bytes // 2 if config.is_narrow else 0, held_whole(config, weights)
    if config.shards > 1:
        held = weights.of_a_stage(config.shards) - narrowed // config.shards
        return Held(held, f"{whole.why} in a pipeline of {weights.layers} layers")
    if not config.max_memory_mib:
        return whole
    most = int(sum(config.max_memory_mib.values()) * MIB)
    left = max(0, whole.rank_bytes - most)
    devices = ", ".join(f"{mib:g} MiB on {device}" for device, mib in config.max_memory_mib.items())
    on_disk = f"{'at least ' if left else ''}{left / MIB:,.2f} MiB stay on disk"
    return Held(min(most, whole.rank_bytes), f"{whole.why} over {devices}; {on_disk}")


RUNTIME = RuntimeKind(
    config=AccelerateConfig,
    suffix=".safetensors",
    load=_load,
    load_rank=_load_rank,
    held=_held,
    packages=("torch", "accelerate"),
    extra="sharding",
)
