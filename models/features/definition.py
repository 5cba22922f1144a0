"""Feature definitions: training, serving and the stores share one declaration of each feature.

A set of definitions has a content hash, which artifacts contain. Stored rows and overlays contain the hash of their own
groups. So a model never reads numbers that mean something else than they did in training.

The groups are:

- user, realtime: values by user, read from the feature store.
- item: catalogue columns.
- context: values that the caller sends.
- global, cell: values that change over time for all items, or for all items in a cell. They are in an overlay.
- live: values that change for single items while the catalogue stays the same.

A feature is stored or sent, or it is an ``aggregate`` over events (groups user and realtime), or a ``transform`` of
another feature. A text, such as a query, comes from the caller. It changes no number's meaning, so it is not in the
hash. It is never stored or logged.
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
"""Groups with one value per candidate in a batch."""
CELL = "cell"
"""Catalogue column with each item's cell: an index into the overlay's cell axis, or -1 for no cell."""


class Feature(BaseModel):
    """Definition of one feature.

    Attributes:
        dtype: numeric type. "text" is a string in the context, empty by default.
        shape: shape of one value, () for a scalar.
        default: replaces a missing value. A missing ragged feature is an empty sequence.
        ragged: whether the feature is a sequence of values, oldest first.
        max_length: maximum length of a ragged feature, or of a text in UTF-8 bytes.
        fresh_for_s: maximum age in seconds at request time. An older value counts as missing. An aggregate
            is as old as its newest event.
        transform: computes the feature from features that are declared earlier.
        aggregate: computes the feature from events.
        minimum: lower limit for a context value that a caller sends, one limit for all its numbers or one per number.
        maximum: upper limit, in the same form.
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
            raise ValueError(
                f"feature {self.name}: max_length must be at least 1 for a ragged feature, got 0; set max_length"
            )
        for name in ("default", "minimum", "maximum"):
            value = getattr(self, name)
            if isinstance(value, tuple) and self.shape != (len(value),):
                raise ValueError(
                    f"feature {self.name}: {name} must have shape {self.shape}, got {len(value)} values; correct either"
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
                f"feature {self.name}: a text must be in group context and without these settings: shape, ragged, "
                f"fresh_for_s, transform, aggregate, minimum, maximum and default, got group {self.group}"
                f"{' with ' if numeric else ''}{', '.join(numeric)}"
            )
        if self.max_length == 0:
            raise ValueError(
                f"feature {self.name}: a text needs max_length, its limit in bytes of UTF-8; set max_length"
            )
        return self

    @model_validator(mode="after")
    def _fits_its_group(self) -> Self:
        if self.ragged and self.group not in KEYED:
            raise ValueError(f"feature {self.name}: group {self.group} has no ragged features; remove ragged")
        if self.fresh_for_s is not None and (self.group not in KEYED + OVERLAID or self.transform):
            raise ValueError(
                f"feature {self.name}: fresh_for_s is only for stored values in the groups "
                f"{', '.join(KEYED + OVERLAID)}; "
                f"remove it, or set it for the feature from which {self.name} is derived"
            )
        if self.aggregate is None:
            return self
        if self.group not in KEYED or self.transform is not None:
            raise ValueError(
                f"feature {self.name}: with an aggregate, the group must be user or realtime and transform must be "
                f"empty, got group {self.group} and {'no' if self.transform is None else 'a'} transform"
            )
        if self.ragged != (self.aggregate.kind == "last_values"):
            raise ValueError(
                f"feature {self.name}: ragged must be true for aggregate last_values and false for other "
                f"aggregates, got "
                f"{self.ragged} for {self.aggregate.kind}"
            )
        if self.aggregate.field == "at_s" and self.aggregate.kind != "count" and self.dtype != "float64":
            raise ValueError(
                f"feature {self.name}: dtype must be float64, because at_s is in epoch seconds, got {self.dtype}"
            )
        return self

    @property
    def is_text(self) -> bool:
        """Whether the feature is a text. All other features are numeric."""
        return self.dtype == "text"

    @property
    def column(self) -> str:
        """Column name in a batch, "<group>.<name>"."""
        return f"{self.group}.{self.name}"

    @property
    def event_limit(self) -> int:
        """Maximum number of newest events that the aggregate reads. 0 without an aggregate."""
        if self.aggregate is None:
            return 0
        return self.aggregate.max_events or (self.max_length if self.ragged else 1)

    def default_value(self) -> NDArray[Any]:
        """Return the default as an array with the feature's shape and dtype."""
        return np.full(self.shape, self.default, dtype=self.dtype)

    def default_values(self, count: int) -> NDArray[Any]:
        """Return the default ``count`` times, as an array (count, ...)."""
        return np.full((count, *self.shape), self.default, dtype=self.dtype)


class FeatureSet(BaseModel):
    """A pipeline's features. Names are unique in each group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[Feature, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [f.column for f in self.features]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"feature declared twice: {', '.join(repeated)}; keep one definition of each")
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
                f"feature {timed[0].column} depends on the time of the request, which is not declared; declare "
                f"{NOW} as a "
                f"float64 scalar without a transform, in epoch seconds"
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
                    f"features {first.column} and {feature.column} read the field {key[2]} of event {key[1]} with "
                    f"different dtypes or shapes, got {first.dtype} {first.shape} and {feature.dtype} {feature.shape}; "
                    f"declare both with the same dtype and shape"
                )
        return self

    def group(self, group: Group) -> tuple[Feature, ...]:
        """Return the group's features, in declaration order."""
        return tuple(f for f in self.features if f.group == group)

    def supplied(self, group: Group) -> tuple[Feature, ...]:
        """Return the group's numeric features that are stored or sent, without derived features."""
        return tuple(f for f in self.group(group) if f.transform is None and not f.is_text)

    @property
    def texts(self) -> tuple[Feature, ...]:
        """The texts that a caller may send."""
        return tuple(f for f in self.group("context") if f.is_text)

    @property
    def derived(self) -> tuple[Feature, ...]:
        """The features with a transform, each after the features that it reads."""
        return tuple(f for f in self.features if f.transform is not None)

    @property
    def content_hash(self) -> str:
        """16 hex digits over all fields that change what the numbers mean. Descriptions do not count."""
        return _hash_of(self.features)

    def hash_of(self, *groups: Group) -> str:
        """Return a hash, 16 hex digits, over the supplied features in some groups. Other groups do not affect it."""
        return _hash_of(tuple(f for group in groups for f in self.supplied(group)))


def _hash_of(features: tuple[Feature, ...]) -> str:
    documents = [
        f.model_dump(exclude={"description", "minimum", "maximum"}) for f in features if not f.is_text
    ]
    documents.sort(key=lambda f: (f["group"], f["name"]))
    return hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest()[:16]


def _check_derived(feature: Feature, transform: Transform, known: dict[str, Feature]) -> None:
    for name in transform.inputs:
        if name not in known:
            raise ValueError(
                f"feature {feature.column}: its transform reads {name}, which is not declared above; "
                f"declare {name} before {feature.column}"
            )
    source = known[transform.of]
    if source.is_text:
        raise ValueError(
            f"feature {feature.column}: cannot be derived from {source.column}, which is a text; derive it from numbers"
        )
    row_groups = {"item", *PER_CANDIDATE}  # one row per item or candidate, other groups one per request
    if source.group != feature.group and row_groups & {source.group, feature.group}:
        raise ValueError(
            f"feature {feature.column}: cannot be derived from {source.column}; both must be of group {source.group}"
        )
    if feature.group in {"item", "live"} and NOW in transform.inputs:
        raise ValueError(
            f"feature {feature.column}: an age in group {feature.group} cannot be computed, because it needs the "
            f"time of a "
            f"request; use another group"
        )
    if (source.shape, source.ragged, source.max_length) != (
        feature.shape,
        feature.ragged,
        feature.max_length,
    ):
        raise ValueError(
            f"feature {feature.column}: shape, ragged and max_length must be those of {source.column}: {source.shape}, "
            f"{source.ragged} and {source.max_length}, got {feature.shape}, {feature.ragged} and {feature.max_length}"
        )
