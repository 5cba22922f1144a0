"""``kind: deepspeed``: DeepSpeed's tensor parallelism."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.base import GroupOptions, Held, Runtime, RuntimeKind, Shards, held_whole
from models.runtimes.weight_sizes import MIB, Weights

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class DeepSpeedConfig(GroupOptions):
    """DeepSpeed's tensor parallelism.

    Attributes:
        dtype: dtype for the layers' weights and products.
        quantization: quantise the weights. Only on CUDA, with one rank and fp16.
        kernel_injection: use DeepSpeed's own kernels. Only on CUDA, for Hugging Face architectures that have kernels.
        cuda_graph: compile a CUDA graph per shape. Only on CUDA, with one rank.
    """

    kind: Literal["deepspeed"]
    shards: Shards = 2
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    quantization: Literal["int8", "int4"] | None = None
    kernel_injection: bool = False
    cuda_graph: bool = False

    @property
    def is_grouped(self) -> bool:
        """Always True: DeepSpeed needs a group, even for one rank."""
        return True

    @property
    def is_narrow(self) -> bool:
        """Whether the layers compute in fewer than 32 bits."""
        return self.dtype != "fp32" or self.quantization is not None

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.cuda_graph and self.shards > 1:
            raise ValueError(
                f"cuda_graph: allowed only with shards: 1, got shards: {self.shards}; remove cuda_graph, or set "
                f"shards: 1"
            )
        if self.quantization is not None and (
            self.shards > 1 or self.dtype != "fp16" or self.kernel_injection
        ):
            raise ValueError(
                f"quantization: requires shards: 1, dtype: fp16 and kernel_injection: false, got shards: "
                f"{self.shards}, dtype: "
                f"{self.dtype} and kernel_injection: {str(self.kernel_injection).lower()}; remove quantization, "
                f"or change "
                f"these fields"
            )
        return self


def _load_rank(path: Path, artifact: Artifact, config: DeepSpeedConfig, group: "ProcessGroup") -> Runtime:
    from models.runtimes.tensor_parallel.deepspeed import DeepSpeedRuntime

    return DeepSpeedRuntime(path, artifact, config)


def _held(config: DeepSpeedConfig, weights: Weights) -> Held:
    """Return the weights that one rank holds.

    Raises:
        RuntimeFailure: the layers cannot be split over this number of ranks.
    """
    if not weights.splittable:
        raise RuntimeFailure(
            "runtime.kind: a pruned or factorised text model cannot be split by heads, got deepspeed; use onnx, torch "
            "or accelerate"
        )
    if weights.heads % config.shards:
        raise RuntimeFailure(
            f"runtime.shards: must divide the attention heads of every layer, and so {weights.heads}, got "
            f"{config.shards}; change it, or use runtime.kind: accelerate"
        )
    narrowed = weights.split_bytes // 2 if config.is_narrow else 0
    held = weights.of_a_rank(config.shards) - narrowed // config.shards
    return Held(
        held, f"{held_whole(config, weights).why}, {weights.split_bytes / MIB:,.2f} MiB of them split"
    )


RUNTIME = RuntimeKind(
    config=DeepSpeedConfig,
    suffix=".safetensors",
    load_rank=_load_rank,
    held=_held,
    packages=("torch", "accelerate", "deepspeed"),
    extra="sharding",
)
