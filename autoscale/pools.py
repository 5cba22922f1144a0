"""Pools: node kinds, with their resources, prices and lifecycle."""

from pydantic import BaseModel, ConfigDict, Field


class SpotConfig(BaseModel):
    """Spot nodes, which the provider may reclaim. The pool's price is then the spot price.

    Attributes:
        interruptions_per_hour: mean interruptions per node and hour.
        notice_s: time between the provider's notice and the node's loss.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    interruptions_per_hour: float = Field(ge=0, le=60, allow_inf_nan=False)
    notice_s: float = Field(default=30.0, ge=0, le=3600)


class PoolConfig(BaseModel):
    """One node kind. A replica fits a pool if its CPUs, GPUs and memory fit one node.

    Attributes:
        accelerator: Ray's name for the GPU type, such as "H100".
        price_per_hour: the price per node. All pools use the same currency.
        provisioning_s: time from the request for a node until it is up.
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
