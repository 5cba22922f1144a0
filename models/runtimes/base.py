"""What executes an artifact, and the options of each runtime: one closed model a kind."""

from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from models.signature import Inputs

GpuNumber = Annotated[int, Field(ge=0, lt=64)]
MemoryMib = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Shards = Annotated[int, Field(ge=1, le=64)]
Transport = Literal["shared_memory", "gloo"]


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


class GroupOptions(_Options):
    """One model over the processes of a shard group; ``threads`` are a rank's.

    shards: ranks that hold the model, the replica itself among them. placement: PACK puts all ranks on as few nodes as
    can be, SPREAD on as many. timeout_s: what a batch waits for a rank at most; a group that had to is broken.
    transport: between ranks on CPUs. None chooses shared memory if all ranks are on one x86-64 host, else gloo.
    """

    shards: Shards = 1
    placement: Literal["PACK", "SPREAD"] = "PACK"
    timeout_s: float = Field(default=2.0, ge=0.1, le=600)
    transport: Transport | None = None

    @property
    def is_grouped(self) -> bool:
        """Whether a group of so many ranks runs it, be it one of one."""
        return self.shards > 1


class DeepSpeedConfig(GroupOptions):
    """DeepSpeed's tensor parallelism.

    dtype: of the layers' weights and products. On CUDA: kernel_injection, DeepSpeed's own kernels where it has some
    for a Hugging Face architecture; of one rank cuda_graph, compiled graphs by shape, and of its fp16 weights
    quantization.
    """

    kind: Literal["deepspeed"]
    shards: Shards = 2
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    quantization: Literal["int8", "int4"] | None = None
    kernel_injection: bool = False
    cuda_graph: bool = False

    @property
    def is_grouped(self) -> bool:
        """It knows no model outside a group."""
        return True

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


class AccelerateConfig(GroupOptions):
    """Accelerate's dispatch: one model over GPUs, main memory and disk; or, of several shards, a pipeline of ranks.

    max_memory_mib: what weights may take of each device, "cpu" or a GPU's number, the weights that are fetched from
    disk for a while included; devices that are not named are not used, and what fits in none stays on disk. Without
    it all that is free. dtype: of linear layers and what they give. micro_batches: into how many a batch is cut for a
    pipeline at most, so that its ranks compute at the same time.
    """

    kind: Literal["accelerate"]
    max_memory_mib: dict[Literal["cpu"] | GpuNumber, MemoryMib] = Field(default_factory=dict)
    dtype: Literal["fp32", "bf16"] = "fp32"
    micro_batches: int = Field(default=4, ge=1, le=256)

    @property
    def is_narrow(self) -> bool:
        """As it says."""
        return self.dtype != "fp32"

    @model_validator(mode="after")
    def _budgets_are_of_one_process(self) -> Self:
        if self.max_memory_mib and self.shards > 1:
            raise ValueError(
                f"max_memory_mib is of one process, shards is {self.shards}: drop it, or set shards: 1; a rank of a "
                f"pipeline holds all of its layers in memory"
            )
        return self


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


def group_of(config: RuntimeConfig) -> GroupOptions | None:
    """Give the options of the shard group that runs such a model, None where one process does."""
    return config if isinstance(config, GroupOptions) and config.is_grouped else None


class Runtime(Protocol):
    """A loaded model: synchronous, called from one thread at a time."""

    def run(self, inputs: Inputs) -> Inputs:
        """Give the outputs by name.

        Raises:
            RuntimeFailure: the model could not be executed on these inputs.
        """
        ...
