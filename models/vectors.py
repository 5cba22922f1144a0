"""Feature vectors: one float32 row per candidate, built from features as a signature declares them.

``rankway features export``, golden requests and serving build vectors with the same function, so a model that was
trained on exported vectors reads the same bits when it is served.

A number is missing if it is not finite: NaN, infinite, or too large for float32. One rule holds for all of them: the
number becomes ``missing``. A value that the store lacks has the default of its feature definition first. With the
default NaN, it is therefore missing in the vector too.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.features.definition import PER_CANDIDATE
from models.features.sent import item_values
from models.features.timelines import ItemTimelines
from models.ragged import RaggedArray, RaggedBatch

PER_REQUEST = ("user", "realtime", "context", "global")
_COLUMN = re.compile(
    rf"^(item|candidate|{'|'.join((*PER_REQUEST, *PER_CANDIDATE))})\.([A-Za-z_][A-Za-z0-9_]*)(?:\.(0|[1-9][0-9]*))?$"
)
FeatureName = Annotated[str, Field(pattern=_COLUMN.pattern)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-3.4e38, le=3.4e38)]


class VectorSpec(BaseModel):
    """A vector's features in their order.

    Attributes:
        features: item.price has all numbers of the feature, item.position.0 only its first number.
        missing: the number that replaces a missing one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[FeatureName, ...] = Field(min_length=1)
    missing: Literal["nan"] | Finite = "nan"

    @property
    def fill(self) -> float:
        """The number that replaces a missing one."""
        return float(self.missing)


class VectorBuilder:
    """Builds the vectors of a batch."""

    def __init__(
        self,
        spec: VectorSpec,
        catalogue: Catalogue,
        *,
        name: str,
        timelines: ItemTimelines | None = None,
    ) -> None:
        """Resolve the features once.

        Args:
            spec: the features.
            catalogue: has the item columns.
            name: the vector's name in errors.
            timelines: the item columns that training reads as of each list's time. None reads the catalogue.

        Raises:
            SignatureError: the catalogue has no such column, or a column that is not numeric.
        """
        self._name, self._fill = name, np.float32(spec.fill)
        self._parts = [(feature, *_part(feature, catalogue, name, timelines)) for feature in spec.features]

    def __call__(
        self, batch: RaggedBatch, width: int, request_of: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors as float32 (N, width).

        Args:
            batch: the candidates, with all features.
            width: numbers in a vector.
            request_of: the request of each candidate, if the caller has it already.

        Raises:
            SignatureError: the features have another number of values, or one is ragged or missing.
        """
        if request_of is None:
            request_of = batch.request_of()
        vectors = np.empty((batch.candidate_count, width), dtype=np.float32)
        filled = 0
        with np.errstate(over="ignore", invalid="ignore"):  # too large for float32: infinite, replaced below
            for feature, read, index in self._parts:
                values = self._flat(feature, read(batch, request_of), index)
                end = filled + values.shape[1]
                if end <= width:
                    vectors[:, filled:end] = values
                filled = end
        if filled != width:
            raise SignatureError(
                f"vectors.{self._name}: the features have {filled} numbers, but the model reads {width}; "
                f"name the features that it was trained with"
            )
        finite = np.isfinite(vectors)
        if not finite.all():
            vectors[~finite] = self._fill
        return vectors

    def _flat(self, feature: str, values: NDArray[Any], index: int | None) -> NDArray[Any]:
        """Return (N, numbers) of a feature's values (N, ...)."""
        flat = values.reshape(len(values), -1) if values.size else values.reshape(len(values), _size(values))
        if index is None:
            return flat
        if index >= flat.shape[1]:
            raise SignatureError(
                f"vectors.{self._name}: {feature} has no number {index}, it has {flat.shape[1]}; "
                f"use a smaller index"
            )
        return flat[:, index : index + 1]


def split_name(feature: str) -> tuple[str, str, int | None]:
    """Split "item.position.0" into group, name and index. The index is None for a whole feature."""
    match = _COLUMN.match(feature)
    if match is None:
        raise ValueError(f"expected GROUP.NAME or GROUP.NAME.INDEX, got {feature!r}")
    group, name, index = match.groups()
    return group, name, None if index is None else int(index)


def column_names(features: Sequence[str], widths: Mapping[str, int]) -> list[str]:
    """Return one name per number of a vector, such as "item.price" or "item.position.0".

    Args:
        features: the features in order.
        widths: numbers by feature, 0 for a scalar.
    """
    names: list[str] = []
    for feature in features:
        width = widths.get(feature, 0)
        names += [f"{feature}.{i}" for i in range(width)] if width else [feature]
    return names


_Read = Callable[[RaggedBatch, NDArray[np.int64]], NDArray[Any]]


def _part(
    feature: str, catalogue: Catalogue, vector: str, timelines: ItemTimelines | None
) -> tuple[_Read, int | None]:
    group, name, index = split_name(feature)
    source = f"{group}.{name}"
    if group == "item":
        column = catalogue.columns.get(name)
        if column is None:
            raise SignatureError(
                f"vectors.{vector}: catalogue {catalogue.manifest.name} has no column {name!r}; "
                f"use one of {', '.join(catalogue.columns)}"
            )
        if column.dtype.kind not in "fiub":
            raise SignatureError(
                f"vectors.{vector}: {feature} is not numeric, got {column.dtype}; leave it out"
            )
        if timelines is not None and name in timelines.columns:
            return partial(timelines.of_candidates, name), index
        plain = np.asarray(column)  # still memory-mapped, and faster to index
        return (lambda batch, _: item_values(batch, source, plain)), index
    if group in PER_REQUEST:

        def of_request(batch: RaggedBatch, request_of: NDArray[np.int64]) -> NDArray[Any]:
            values = batch.requests[source]
            if isinstance(values, RaggedArray):
                raise SignatureError(
                    f"vectors.{vector}: {source} is ragged, so it has no fixed number of values; use a feature with "
                    f"a fixed shape, such as an aggregate"
                )
            return values.take(request_of, axis=0)

        return of_request, index
    column_name = name if group == "candidate" else source
    return (lambda batch, _: batch.candidates[column_name]), index


def _size(values: NDArray[Any]) -> int:
    return int(np.prod(values.shape[1:], dtype=np.int64))
