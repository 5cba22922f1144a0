"""Request limits, and the values that apply if a caller sends none."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class RequestsConfig(BaseModel):
    """Request limits and defaults.

    Attributes:
        max_k: the most items that a caller may ask for.
        default_deadline_ms: the deadline of a request without one.
        max_deadline_ms: the longest deadline that a caller may ask for. A longer deadline gets status 422.
        max_priority: the highest priority that a caller may ask for. A higher priority gets status 422.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_k: int = Field(default=100, ge=1, le=1000)
    default_deadline_ms: float = Field(default=1000.0, gt=0, le=60_000)
    max_deadline_ms: float = Field(default=5000.0, gt=0, le=60_000)
    max_priority: int = Field(default=0, ge=0, le=100)
    max_body_bytes: int = Field(default=1_048_576, ge=1024, le=64 * 1024 * 1024)

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        if self.default_deadline_ms > self.max_deadline_ms:
            raise ValueError(
                f"default_deadline_ms must be at most max_deadline_ms, got {self.default_deadline_ms:g} and "
                f"{self.max_deadline_ms:g}; lower the default or raise the maximum"
            )
        return self
