"""Unit configuration: where units run, how they batch, and where the endpoint listens."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.scheduling.batcher import BatchingConfig

StageName = Literal["features", "ranker", "reranker"]
# Serve joins the names of applications, deployments and replicas with "#" and "/".
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=63)]
LOCAL_POOL = "local"
"""The pool for a unit that names no pools. The part ``pools`` of the YAML may describe this pool."""


class PlacedUnitConfig(BaseModel):
    """A unit in one pool. If cpus, replicas or profile are missing, the unit's own values apply.

    Attributes:
        weight: the unit's share of candidates in this pool, relative to the other pools, until a policy
            decides it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float | None = Field(default=None, ge=0, le=1024)
    gpus: float = Field(default=0.0, ge=0, le=64)
    replicas: int | None = Field(default=None, ge=0, le=10_000)
    weight: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    profile: str | None = Field(default=None, min_length=1)


class UnitConfig(BaseModel):
    """One or more stages in one process. Units are scaled and priced separately.

    Attributes:
        max_calls_in_flight: the most batches that a replica works on at once, including batches that wait for
            another unit.
        max_ongoing_requests: the most requests in a replica. Further requests are refused before they are parsed.
        profile: the file that ``rankway models bench`` wrote for the unit. Simulator, policies and planner read it.
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

    host: str = Field(default="127.0.0.1", min_length=1)  # an empty host would bind all addresses
    port: int = Field(default=8000, ge=1, le=65_535)
