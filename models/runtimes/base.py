"""What executes an artifact, and the options of each runtime: one closed model a kind."""

from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from models.signature import Inputs

GpuNumber = Annotated[int, Field(ge=0, lt=64)]
MemoryMib = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class _Options(BaseModel):
    """threads: of one call, on the CPU. One thread a replica and more replicas serve more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=1, ge=1, le=256)

    @property
    def is_narrow(self) -> bool:
        """Whether it computes in fewer bits than the model was exported with."""
        return False


class OnnxConfig(_Options):
    """ONNX Runtime."""

    kind: Literal["onnx"] = "onnx"


class TorchConfig(_Options):
    """PyTorch, eager."""

    kind: Literal["torch"] = "torch"


class DeepSpeedConfig(_Options):
    """DeepSpeed's tensor parallelism: one model over the processes of a shard group; ``threads`` are a rank's.

    shards: ranks that hold the model, the replica itself among them. dtype: of the layers' weights and products.
    placement: PACK puts all ranks on as few nodes as can be, SPREAD on as many. timeout_s: what a batch waits for a
    rank at most; a group that had to is broken. On CUDA: kernel_injection, DeepSpeed's own kernels where it has some
    for a Hugging Face architecture; of one rank cuda_graph, compiled graphs by shape, and of its fp16 weights
    quantization.
    """

    kind: Literal["deepspeed"]
    shards: int = Field(default=2, ge=1, le=64)
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    placement: Literal["PACK", "SPREAD"] = "PACK"
    timeout_s: float = Field(default=2.0, ge=0.1, le=600)
    quantization: Literal["int8", "int4"] | None = None
    kernel_injection: bool = False
    cuda_graph: bool = False

    @property
    def is_narrow(self) -> bool:
        """As it says."""
        return self.dtype != "fp32" or self.quantization is not None

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.cuda_graph and self.shards > 1:
            raise ValueError(f"cuda_graph is of one rank, shards is {self.shards}: drop it, or set shards: 1")
        if self.quantization is not None and (
            self.shards > 1 or self.dtype != "fp16" or self.kernel_injection
        ):
            raise ValueError(
                f"quantization is of one rank's fp16 weights, without kernel_injection; shards is {self.shards}, dtype "
                f"{self.dtype}: drop it, or set shards: 1 and dtype: fp16"
            )
        return self


class AccelerateConfig(_Options):
    """Accelerate's dispatch: one model over GPUs, main memory and disk.

    max_memory_mib: what weights may take of each device, "cpu" or a GPU's number, the weights that are fetched from
    disk for a while included; devices that are not named are not used, and what fits in none stays on disk. Without
    it all that is free. dtype: of linear layers and what they give.
    """

    kind: Literal["accelerate"]
    max_memory_mib: dict[Literal["cpu"] | GpuNumber, MemoryMib] = Field(default_factory=dict)
    dtype: Literal["fp32", "bf16"] = "fp32"

    @property
    def is_narrow(self) -> bool:
        """As it says."""
        return self.dtype != "fp32"


class AutoConfig(_Options):
    """One of the others, in 32 bits: chosen once, before a pipeline is deployed, so that all replicas have the same."""

    kind: Literal["auto"]


_AnyConfig = OnnxConfig | TorchConfig | DeepSpeedConfig | AccelerateConfig | AutoConfig
RuntimeConfig = Annotated[_AnyConfig, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[_AnyConfig] = TypeAdapter(RuntimeConfig)


def runtime_config(**options: Any) -> RuntimeConfig:
    """Give the options of one runtime from the fields that a pipeline's YAML has, ``kind`` among them.

    Raises:
        pydantic.ValidationError: no such kind or field, or a value out of range.
    """
    return _ADAPTER.validate_python(options)


class Runtime(Protocol):
    """A loaded model: synchronous, called from one thread at a time."""

    def run(self, inputs: Inputs) -> Inputs:
        """Give the outputs by name.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...
