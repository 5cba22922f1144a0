"""The sources of a model's inputs: each returns one array of a batch, such as an item column or a user's feature."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.features.definition import PER_CANDIDATE
from models.features.sent import item_values
from models.features.timelines import ItemTimelines
from models.padding import Slots
from models.ragged import RaggedArray, RaggedBatch
from models.signature import VECTOR, InputSpec, Signature
from models.vectors import VectorBuilder


@dataclass(slots=True)
class Call:
    """State of one assembly.

    Attributes:
        row_offsets: int64 (R + 1,), candidate offsets for the rows in a padded layout.
        history_rows: catalogue rows by history feature, shared by the inputs.
        slots_by_offsets: padded positions by offsets, shared by the inputs.
        request_of: each candidate's request, shared by the inputs.
    """

    batch: RaggedBatch
    row_offsets: NDArray[np.int64]
    history_rows: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    slots_by_offsets: dict[bytes, Slots] = field(default_factory=dict)
    request_of: NDArray[np.int64] | None = None

    def of_request(self) -> NDArray[np.int64]:
        """Return each candidate's request, (N,)."""
        if self.request_of is None:
            self.request_of = self.batch.request_of()
        return self.request_of

    def slots(self, offsets: NDArray[np.int64]) -> Slots:
        """Return the padded positions of sequences with these offsets."""
        key = offsets.tobytes()
        slots = self.slots_by_offsets.get(key)
        if slots is None:
            slots = self.slots_by_offsets[key] = Slots(offsets)
        return slots

    def ragged(self, name: str) -> RaggedArray:
        """Return a feature's sequences.

        Raises:
            SignatureError: the feature has a fixed shape.
        """
        column = self.batch.requests[name]
        if not isinstance(column, RaggedArray):
            raise SignatureError(
                f"feature {name} is not ragged, so it has no sequences; use the source {name!r} without an ending"
            )
        return column


Source = Callable[[Call], NDArray[Any]]
"""Computes the array of one input."""


def source_of(
    spec: InputSpec, signature: Signature, catalogue: Catalogue, timelines: ItemTimelines | None
) -> Source:
    """Resolve the source of an input.

    Raises:
        SignatureError: the source is unknown, or the catalogue does not have its column.
    """
    if spec.source.startswith(VECTOR):
        return _vector(spec, signature, catalogue, timelines)
    kind, _, name = spec.source.partition(".")
    if kind == "item":
        return _item(spec, name, catalogue, timelines)
    if kind in {"user", "realtime", "context", "global"}:
        return _feature(spec)
    if kind in {"candidate", *PER_CANDIDATE}:
        column = name if kind == "candidate" else spec.source
        return lambda call: call.batch.candidates[column]
    if spec.source not in _BATCH_SOURCES:
        raise SignatureError(
            f"input {spec.name}: unknown source, got {spec.source!r}; use item.*, user.*, realtime.*, context.*, "
            f"global.*, cell.*, live.*, candidate.*, vector.* or one of {', '.join(_BATCH_SOURCES)}"
        )
    return _BATCH_SOURCES[spec.source]


def _vector(
    spec: InputSpec, signature: Signature, catalogue: Catalogue, timelines: ItemTimelines | None
) -> Source:
    name = spec.source.removeprefix(VECTOR)
    build = VectorBuilder((signature.vectors or {})[name], catalogue, name=name, timelines=timelines)
    width = spec.shape[0]
    return lambda call: build(call.batch, width, call.of_request())


def _item(spec: InputSpec, name: str, catalogue: Catalogue, timelines: ItemTimelines | None) -> Source:
    column_name, _, history = name.partition("@")
    if column_name not in catalogue.columns:
        raise SignatureError(
            f"input {spec.name}: catalogue {catalogue.manifest.name} has no column {column_name!r}; "
            f"use one of {', '.join(catalogue.columns)}"
        )
    # The plain array is still memory-mapped, and faster to index.
    column = np.asarray(catalogue.columns[column_name])
    if column.shape[1:] != spec.shape:
        raise SignatureError(
            f"input {spec.name}: has shape {spec.shape}, but catalogue column {column_name} has {column.shape[1:]}; "
            f"declare the column's shape for the input"
        )
    past = timelines if timelines is not None and column_name in timelines.columns else None
    if not history:
        if past is not None:
            return lambda call: past.of_candidates(column_name, call.batch, call.of_request())
        return lambda call: item_values(call.batch, spec.source, column)
    base, part = _split(spec, history, ("", "list"))

    def at_history(call: Call) -> NDArray[Any]:
        rows = call.history_rows.get(base)
        if rows is None:
            rows = call.history_rows[base] = catalogue.rows_of_keys(call.ragged(base).values)
        if past is None:
            values = column.take(rows, axis=0, mode="wrap")  # row -1, an unknown item, is overwritten below
        else:
            lengths = call.ragged(base).lengths
            values = past.values(column_name, rows, np.repeat(past.times_of(call.batch), lengths))
        unknown = rows < 0
        if unknown.any():
            values[unknown] = 0
        return values

    return (
        (lambda call: call.slots(call.ragged(base).offsets).lists(at_history(call))) if part else at_history
    )


def _feature(spec: InputSpec) -> Source:
    base, part = _split(spec, spec.source, ("", *_RAGGED_PARTS))
    if part:
        select = _RAGGED_PARTS[part]
        return lambda call: select(call, call.ragged(base))

    def values(call: Call) -> NDArray[Any]:
        column = call.batch.requests[base]
        return column.values if isinstance(column, RaggedArray) else column

    return values


def _split(spec: InputSpec, source: str, allowed: tuple[str, ...]) -> tuple[str, str]:
    base, _, part = source.partition(":")
    if part not in allowed:
        raise SignatureError(
            f"input {spec.name}: source {spec.source!r} ends in ':{part}'; use no ending, or one of "
            f"{', '.join(f':{name}' for name in allowed if name)}"
        )
    return base, part


def _chunk_of(call: Call) -> NDArray[np.int64]:
    offsets = call.batch.offsets
    if call.row_offsets is offsets:
        return np.arange(len(call.batch), dtype=np.int64)
    return np.searchsorted(offsets, call.row_offsets[:-1], side="right") - 1


_BATCH_SOURCES: dict[str, Source] = {
    "batch.offsets": lambda call: call.batch.offsets,
    "batch.request_of": lambda call: call.of_request(),
    "batch.mask": lambda call: call.slots(call.row_offsets).mask,
    "batch.chunk_of": _chunk_of,
}
_RAGGED_PARTS: dict[str, Callable[[Call, RaggedArray], NDArray[Any]]] = {
    "offsets": lambda _, column: column.offsets,
    "list": lambda call, column: call.slots(column.offsets).lists(column.values),
    "mask": lambda call, column: call.slots(column.offsets).mask,
}
