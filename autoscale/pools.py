"""Pools: kinds of node, what one has, what it costs, and how it comes and goes."""

from pydantic import BaseModel, ConfigDict, Field


class SpotConfig(BaseModel):
    """Nodes that the provider may take back; the pool's price is then theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interruptions_per_hour: float = Field(ge=0, le=60, allow_inf_nan=False)
    notice_s: float = Field(default=30.0, ge=0, le=3600)


class PoolConfig(BaseModel):
    """One kind of node; a replica fits a pool when its cpus, gpus and memory fit one node.

    accelerator: Ray's name of the GPU's type, as "H100"; price_per_hour: of one node, in any one currency.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float = Field(gt=0, le=1024)
    memory_gib: float = Field(gt=0, le=65_536)
    gpus: int = Field(default=0, ge=0, le=64)
    gpu_memory_gib: float = Field(default=0.0, ge=0, le=4096)
    accelerator: str | None = Field(default=None, min_length=1)
    price_per_hour: float = Field(default=0.0, ge=0, le=1e6)
    min_nodes: int = Field(default=0, ge=0, le=100_000)
    max_nodes: int = Field(default=100, ge=1, le=100_000)
    provisioning_s: float = Field(default=120.0, ge=0, le=7200)
    labels: dict[str, str] = Field(default_factory=dict)
    spot: SpotConfig | None = None
