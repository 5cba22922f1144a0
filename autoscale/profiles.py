"""Profiles: what a replica of a unit in a pool was measured to take, as a small file."""

import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autoscale.errors import ProfileError


class Timing(BaseModel):
    """Batches of one size: how long their execution took, over ``runs`` of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requests: int = Field(ge=1)
    candidates: int = Field(ge=1)
    p50_ms: float = Field(gt=0)
    p99_ms: float = Field(gt=0)
    mean_ms: float = Field(gt=0)
    runs: int = Field(ge=1)


class Profile(BaseModel):
    """One unit in one pool.

    overhead_ms: of a request outside its batches, HTTP and hops included, with nothing waiting (p50).
    overhead_cpu_ms: by how much longer a replica is busy, a request, than its batches take; with what these take it
    bounds the rate.
    served_ratio: of what a batch takes in the service while none of its like runs beside it, to its timing by itself.
    contention: by what share longer it takes there while all of its like do, of which there were ``neighbours``.
    served_sigma: what the logarithm of a batch's time there spreads by; None: as the timings do.
    fallback_us_per_candidate: what the model that answers instead of a late ranker takes, in the ingress unit.
    machine: what it was measured on, for whoever compares.
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
            raise ValueError("timings: two entries have the same requests and candidates; keep one")
        return self


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        ProfileError: it is not there, or not a profile.
    """
    try:
        return Profile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ProfileError(
            f"profile {path}: cannot be read, got {error.strerror}; create it with rankway models bench CONFIG"
        ) from error
    except ValidationError as error:
        raise ProfileError(f"profile {path}: not a valid profile, got {error}") from error


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".writing")
    staging.write_text(json.dumps(profile.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    staging.replace(path)
