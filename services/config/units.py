"""The configuration of units: where they run, how they batch, and where the endpoint listens."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.scheduling.batcher import BatchingConfig

StageName = Literal["features", "ranker", "reranker"]
# Serve joins names of applications, deployments and replicas with "#" and "/".
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
LOCAL_POOL = "local"
"""Where a unit is that names no pools; ``pools`` may describe it."""


class PlacedUnitConfig(BaseModel):
    """A unit in one pool. cpus, replicas, profile: as the unit's own where they are not given.

    weight: its share of the unit's candidates beside the other pools, while no policy decides it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float | None = Field(default=None, ge=0, le=1024)
    gpus: float = Field(default=0.0, ge=0, le=64)
    replicas: int | None = Field(default=None, ge=0, le=10_000)
    weight: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    profile: str | None = Field(default=None, min_length=1)


class UnitConfig(BaseModel):
    """One or more stages in one process: the thing scaled and priced.

    max_calls_in_flight: batches a replica may have begun at once, those away at another unit included.
    max_ongoing_requests: past it the replica refuses before parsing.
    profile: file of what ``rankway models bench`` measured of it; what simulator, policies and planner read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[StageName, ...] = Field(min_length=1)
    replicas: int = Field(default=1, ge=1, le=10_000)
    cpus: float = Field(default=1.0, ge=0, le=1024)
    batching: BatchingConfig = BatchingConfig()
    max_calls_in_flight: int = Field(default=1, ge=1, le=256)
    max_ongoing_requests: int = Field(default=4096, ge=1, le=1_000_000)
    pools: dict[Name, PlacedUnitConfig] = Field(default_factory=dict)
    profile: str | None = Field(default=None, min_length=1)


class HttpConfig(BaseModel):
    """Where the endpoint listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1)  # an empty one would be all of them
    port: int = Field(default=8000, ge=1, le=65_535)
