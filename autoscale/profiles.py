"""Profiles: small files with the batch times and resources that were measured for one replica of a unit in a pool."""

import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autoscale.errors import ProfileError


class Timing(BaseModel):
    """Execution times for one batch size, measured over ``runs`` batches."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requests: int = Field(ge=1)
    candidates: int = Field(ge=1)
    p50_ms: float = Field(gt=0)
    p99_ms: float = Field(gt=0)
    mean_ms: float = Field(gt=0)
    runs: int = Field(ge=1)


class Profile(BaseModel):
    """The profile for one unit in one pool.

    Attributes:
        machine: the measured machine, for comparisons.
        timings: batch times while the unit runs alone.
        startup_s: time until a new replica on a running node is ready.
        memory_mib: memory per replica.
        overhead_ms: a request's time outside its batches, including HTTP and hops, with empty queues (p50).
        overhead_cpu_ms: time per request for which a replica is busy in addition to its batches. Together with the
            batch times it limits the request rate.
        served_ratio: batch time in the service while no other replica of the unit runs a batch, relative to
            ``timings``.
        contention: relative increase in the batch time while the unit's other replicas on the node all run batches too.
            ``neighbours`` is their number.
        served_sigma: standard deviation of log batch times in the service. None: as in ``timings``.
        fallback_us_per_candidate: time per candidate in the fallback model, which answers in the ingress if the ranker
            is late.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    unit: str
    pool: str
    machine: str
    timings: tuple[Timing, ...] = Field(min_length=1)
    startup_s: float = Field(gt=0)
    memory_mib: float = Field(gt=0)
    overhead_ms: float = Field(default=0.0, ge=0)
    overhead_cpu_ms: float = Field(default=0.0, ge=0)
    served_ratio: float = Field(default=1.0, gt=0)
    contention: float = Field(default=0.0, ge=0)
    neighbours: int = Field(default=0, ge=0)
    served_sigma: float | None = Field(default=None, ge=0)
    fallback_us_per_candidate: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _sizes_differ(self) -> Self:
        sizes = [(timing.requests, timing.candidates) for timing in self.timings]
        if len(set(sizes)) < len(sizes):
            raise ValueError(
                "timings: two entries have the same numbers of requests and candidates; keep one of them"
            )
        return self


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        ProfileError: the file cannot be read, or is not a profile.
    """
    try:
        return Profile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ProfileError(
            f"profile {path}: cannot be read: {error.strerror}; create it with `rankway models bench CONFIG`"
        ) from error
    except ValidationError as error:
        raise ProfileError(f"profile {path}: not a valid profile: {error}") from error


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".writing")
    staging.write_text(json.dumps(profile.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    staging.replace(path)
