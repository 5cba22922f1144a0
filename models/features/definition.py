"""Feature definitions: one declaration serves training, the online path and the stores.

A set of definitions has a content hash; artifacts and stored rows carry it, so that a model never
reads numbers that mean something else than those it was trained on.
"""

import hashlib
import json
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

DType = Literal["float32", "float64", "int32", "int64", "uint8", "int8", "float16"]


class Feature(BaseModel):
    """One feature: what a user, an item or a request's context has.

    shape: of one value, () for a scalar. ragged: a sequence of such values, at most ``max_length`` long,
    oldest first. default: what stands in for a missing value (ragged: the empty sequence).
    minimum, maximum: the allowed range of a context value that a caller sends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    group: Literal["user", "item", "context"]
    dtype: DType = "float32"
    shape: tuple[int, ...] = ()
    default: float | tuple[float, ...] = 0.0
    ragged: bool = False
    max_length: int = Field(default=0, ge=0)
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.ragged and self.max_length == 0:
            raise ValueError(f"feature {self.name}: a ragged feature needs max_length, at least 1")
        if isinstance(self.default, tuple) and self.shape != (len(self.default),):
            raise ValueError(
                f"feature {self.name}: default has {len(self.default)} values, shape is {self.shape}"
            )
        return self

    def default_value(self) -> NDArray[np.generic]:
        """Give the default as an array of the feature's shape and dtype."""
        value = np.asarray(self.default, dtype=self.dtype)
        return np.broadcast_to(value, self.shape).copy()


class FeatureSet(BaseModel):
    """The features of one pipeline, with unique names in each group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[Feature, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [(f.group, f.name) for f in self.features]
        twice = sorted({f"{g}.{n}" for g, n in names if names.count((g, n)) > 1})
        if twice:
            raise ValueError(f"feature declared twice: {', '.join(twice)}; keep one definition each")
        return self

    def group(self, group: Literal["user", "item", "context"]) -> tuple[Feature, ...]:
        """Give the features of one group, in declared order."""
        return tuple(f for f in self.features if f.group == group)

    @property
    def content_hash(self) -> str:
        """16 hex digits over everything that changes what the numbers mean (not the descriptions)."""
        kept = [f.model_dump(exclude={"description", "minimum", "maximum"}) for f in self.features]
        kept.sort(key=lambda f: (f["group"], f["name"]))
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
