"""Transforms: compute derived features from other features, in pure numpy.

Training and serving both apply them in ``models.features.view`` for the request's time. Item transforms are applied
when the catalogue is written. Computations that run on the device (standardising, logarithms, cycles, distances to the
candidates) are part of the model's graph instead: ``models.architectures.encoders``.
"""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

NOW = "context.now_s"
"""Request time: epoch seconds, float64."""

Source = Annotated[str, Field(pattern=r"^(user|realtime|item|context|global|cell)\.[a-z][a-z0-9_]*$")]


class _Transform(BaseModel):
    """A transform of one feature. The result has that feature's shape and offsets.

    Attributes:
        of: the feature that is read, "<group>.<name>".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: Source

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features that the transform reads."""
        return (self.of,)


class Age(_Transform):
    """Time from ``of`` (epoch seconds) to the request, in units of ``unit_s``. A negative time becomes 0."""

    kind: Literal["age"] = "age"
    unit_s: float = Field(default=1.0, gt=0)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features that the transform reads, including the request time."""
        return (self.of, NOW)

    def apply(self, values: NDArray[Any], now_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ages. ``now_s`` has the leading axis of ``values``, or length 1."""
        now_s = now_s.reshape(-1, *(1,) * (values.ndim - 1))
        return np.asarray(np.maximum(now_s - values, 0.0) / self.unit_s)


class Affine(_Transform):
    """``of * scale + offset``."""

    kind: Literal["affine"] = "affine"
    scale: float = 1.0
    offset: float = 0.0

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scaled values."""
        return values * self.scale + self.offset


class Log(_Transform):
    """``log(1 + of)``, or 0 if ``of`` is below 0."""

    kind: Literal["log"] = "log"

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return logarithms."""
        return np.log1p(np.maximum(values, 0.0))


class Clip(_Transform):
    """``of``, limited to the range from ``low`` to ``high``."""

    kind: Literal["clip"] = "clip"
    low: float
    high: float

    @model_validator(mode="after")
    def _is_a_range(self) -> "Clip":
        if not self.low <= self.high:
            raise ValueError(
                f"clip: low must be at most high, got low {self.low} and high {self.high}; swap them"
            )
        return self

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return clipped values."""
        return np.clip(values, self.low, self.high)


class Buckets(_Transform):
    """The number of ascending ``edges`` at or below ``of``, from 0 to len(edges)."""

    kind: Literal["buckets"] = "buckets"
    edges: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascends(self) -> "Buckets":
        if any(not a < b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(
                f"buckets: edges must ascend, got {self.edges}; sort them, and remove repeated edges"
            )
        return self

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return bucket numbers."""
        return np.searchsorted(np.asarray(self.edges), values, side="right")


class Cycle(_Transform):
    """Position in a repeated period, such as the hour in a day: ``((of + offset) mod period) / unit``."""

    kind: Literal["cycle"] = "cycle"
    period: float = Field(gt=0)
    offset: float = 0.0
    unit: float = Field(default=1.0, gt=0)

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return positions from 0 to period / unit."""
        return np.mod(values + self.offset, self.period) / self.unit


Transform = Annotated[Age | Affine | Log | Clip | Buckets | Cycle, Field(discriminator="kind")]


def transformed(
    transform: Age | Affine | Log | Clip | Buckets | Cycle,
    values: NDArray[Any],
    now_s: NDArray[np.float64] | None,
) -> NDArray[Any]:
    """Apply a transform to values (T, ...).

    ``now_s``, (T,) or (1,), is required if the transform reads it. The arithmetic is float64 over contiguous arrays, so
    the result does not depend on the values' memory layout.
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    if isinstance(transform, Age):
        assert now_s is not None, f"age of {transform.of} without {NOW}"
        return transform.apply(values, now_s)
    return transform.apply(values)
