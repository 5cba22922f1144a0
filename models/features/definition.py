"""Feature definitions: one declaration serves training, the online path and the stores.

A set of definitions has a content hash; artifacts carry it, and stored rows and overlays that of their own
groups, so that a model never reads numbers that mean something else than those it was trained on.

Groups. user, realtime: by user, read from the store. item: columns of the catalogue. context: what the caller
sends. global, cell: what changes for all, or for all items of a cell, over time: an overlay. live: what changes of
single items while the catalogue stands.
A feature has a value of its own, an ``aggregate`` over events (user and realtime), or a ``transform`` of others.
A text is what a caller writes, such as a query: no number's meaning hangs on it, so it is not in the hash, and it is
never stored or logged.
"""

import hashlib
import json
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.features.aggregates import Aggregate
from models.features.transforms import NOW, Transform

DType = Literal["float32", "float64", "int32", "int64", "uint8", "int8", "float16"]
Group = Literal["user", "realtime", "item", "context", "global", "cell", "live"]
KEYED: tuple[Group, ...] = ("user", "realtime")
OVERLAID: tuple[Group, ...] = ("global", "cell")
PER_CANDIDATE: tuple[Group, ...] = ("cell", "live")
"""Groups that give a batch's candidates a column each."""
CELL = "cell"
"""The catalogue's column with each item's cell, a row of the overlay's cell columns; -1: in none."""


class Feature(BaseModel):
    """One feature: what a user, an item, a request's context, the world or a cell of it has.

    shape: of one value, () for a scalar. ragged: a sequence of such values, at most ``max_length`` long,
    oldest first. default: what stands in for a missing value (ragged: the empty sequence).
    fresh_for_s: a value older than this at the request's moment is missing; an aggregate is as old as its newest event.
    transform: it follows from features declared before it. aggregate: it follows from events.
    minimum, maximum: the allowed range of a context value that a caller sends; one for all its numbers, or one each.
    dtype text: a string in the context, empty by default, of ``max_length`` bytes of UTF-8 at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    group: Group
    dtype: DType | Literal["text"] = "float32"
    shape: tuple[int, ...] = ()
    default: float | tuple[float, ...] = 0.0
    ragged: bool = False
    max_length: int = Field(default=0, ge=0)
    fresh_for_s: float | None = Field(default=None, gt=0)
    transform: Transform | None = None
    aggregate: Aggregate | None = None
    minimum: float | tuple[float, ...] | None = None
    maximum: float | tuple[float, ...] | None = None
    description: str = ""

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.ragged and self.max_length == 0:
            raise ValueError(f"feature {self.name}: a ragged feature needs a max_length of at least 1")
        for name in ("default", "minimum", "maximum"):
            value = getattr(self, name)
            if isinstance(value, tuple) and self.shape != (len(value),):
                raise ValueError(
                    f"feature {self.name}: {name} has {len(value)} values, but shape is {self.shape}"
                )
        return self

    @model_validator(mode="after")
    def _texts_are_plain(self) -> Self:
        if not self.is_text:
            return self
        numeric = [
            name
            for name in (
                "shape",
                "ragged",
                "fresh_for_s",
                "transform",
                "aggregate",
                "minimum",
                "maximum",
                "default",
            )
            if getattr(self, name) not in (None, False, (), 0.0)
        ]
        if self.group != "context" or numeric:
            raise ValueError(
                f"feature {self.name}: a text must be of group context and can have no limit but max_length, got group "
                f"{self.group}{' with ' if numeric else ''}{', '.join(numeric)}"
            )
        if self.max_length == 0:
            raise ValueError(f"feature {self.name}: a text needs max_length, in bytes of UTF-8")
        return self

    @model_validator(mode="after")
    def _fits_its_group(self) -> Self:
        if self.ragged and self.group not in KEYED:
            raise ValueError(f"feature {self.name}: group {self.group} has no ragged features; remove ragged")
        if self.fresh_for_s is not None and (self.group not in KEYED + OVERLAID or self.transform):
            raise ValueError(
                f"feature {self.name}: fresh_for_s is only for stored values of groups {', '.join(KEYED + OVERLAID)}; "
                f"remove it, or set it on the feature that this one is derived from"
            )
        if self.aggregate is None:
            return self
        if self.group not in KEYED or self.transform is not None:
            raise ValueError(
                f"feature {self.name}: an aggregate must be of group user or realtime and have no transform"
            )
        if self.ragged != (self.aggregate.kind == "last_values"):
            raise ValueError(
                f"feature {self.name}: ragged is required for aggregate last_values and not allowed for others"
            )
        if self.aggregate.field == "at_s" and self.aggregate.kind != "count" and self.dtype != "float64":
            raise ValueError(
                f"feature {self.name}: at_s holds epoch seconds, got dtype {self.dtype}; use float64"
            )
        return self

    @property
    def is_text(self) -> bool:
        """Whether it is a text; all else is numbers."""
        return self.dtype == "text"

    @property
    def column(self) -> str:
        """Its name in a batch, "<group>.<name>"."""
        return f"{self.group}.{self.name}"

    @property
    def event_limit(self) -> int:
        """How many of the newest events can matter to an aggregate."""
        if self.aggregate is None:
            return 0
        return self.aggregate.max_events or (self.max_length if self.ragged else 1)

    def default_value(self) -> NDArray[Any]:
        """Give the default as an array of the feature's shape and dtype."""
        return np.full(self.shape, self.default, dtype=self.dtype)


class FeatureSet(BaseModel):
    """The features of one pipeline, with unique names in each group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[Feature, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [f.column for f in self.features]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"feature declared twice: {', '.join(twice)}; keep one definition each")
        return self

    @model_validator(mode="after")
    def _sources_are_there(self) -> Self:
        known: dict[str, Feature] = {}
        for feature in self.features:
            if feature.transform is not None:
                _check_derived(feature, feature.transform, known)
            known[feature.column] = feature
        timed = [f for f in self.features if f.aggregate or f.fresh_for_s or f.group in OVERLAID]
        now = known.get(NOW)
        if timed and (now is None or now.dtype != "float64" or now.shape != () or now.transform):
            raise ValueError(
                f"feature {timed[0].column} depends on the time of the request; declare {NOW}, a float64 scalar in "
                f"epoch seconds that a caller may send"
            )
        return self

    @model_validator(mode="after")
    def _events_have_one_layout(self) -> Self:
        layouts: dict[tuple[str, str, str], tuple[Feature, object]] = {}
        for feature in self.features:
            if feature.aggregate is None or feature.aggregate.kind == "count":
                continue
            key = (feature.group, feature.aggregate.event, feature.aggregate.field)
            first, layout = layouts.setdefault(key, (feature, (feature.dtype, feature.shape)))
            if layout != (feature.dtype, feature.shape):
                raise ValueError(
                    f"features {first.column} and {feature.column} read the field {key[2]} of event {key[1]}; "
                    f"declare both with the same dtype and shape"
                )
        return self

    def group(self, group: Group) -> tuple[Feature, ...]:
        """Give the features of one group, in declared order."""
        return tuple(f for f in self.features if f.group == group)

    def supplied(self, group: Group) -> tuple[Feature, ...]:
        """Give those of one group that are stored or sent, not derived from others; numbers alone."""
        return tuple(f for f in self.group(group) if f.transform is None and not f.is_text)

    @property
    def texts(self) -> tuple[Feature, ...]:
        """The texts that a caller may send."""
        return tuple(f for f in self.group("context") if f.is_text)

    @property
    def derived(self) -> tuple[Feature, ...]:
        """The features that follow from others, each after what it needs."""
        return tuple(f for f in self.features if f.transform is not None)

    @property
    def content_hash(self) -> str:
        """16 hex digits over everything that changes what the numbers mean (not the descriptions)."""
        return _hash_of(self.features)

    def hash_of(self, *groups: Group) -> str:
        """16 hex digits over what is stored of some groups: other groups may change beside it."""
        return _hash_of(tuple(f for group in groups for f in self.supplied(group)))


def _hash_of(features: tuple[Feature, ...]) -> str:
    kept = [f.model_dump(exclude={"description", "minimum", "maximum"}) for f in features if not f.is_text]
    kept.sort(key=lambda f: (f["group"], f["name"]))
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _check_derived(feature: Feature, transform: Transform, known: dict[str, Feature]) -> None:
    for name in transform.inputs:
        if name not in known:
            raise ValueError(
                f"feature {feature.column}: its transform reads {name}, which is not declared before it; "
                f"declare it first"
            )
    source = known[transform.of]
    if source.is_text:
        raise ValueError(f"feature {feature.column}: {source.column} is a text, which has no transforms")
    apart = {"item", *PER_CANDIDATE}  # these have a row an item or a candidate, the others one a request
    if source.group != feature.group and apart & {source.group, feature.group}:
        raise ValueError(
            f"feature {feature.column}: cannot be derived from {source.column}; both must be of group {source.group}"
        )
    if feature.group in {"item", "live"} and NOW in transform.inputs:
        raise ValueError(
            f"feature {feature.column}: items have no request time to compute an age; use another group"
        )
    if (source.shape, source.ragged, source.max_length) != (
        feature.shape,
        feature.ragged,
        feature.max_length,
    ):
        raise ValueError(
            f"feature {feature.column}: shape, ragged and max_length must be those of {source.column}: {source.shape}, "
            f"{source.ragged}, {source.max_length}"
        )
