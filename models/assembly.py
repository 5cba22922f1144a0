"""Assemble a model's inputs from a ragged batch and the catalogue, as the signature declares them."""

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
from models.padding import Slots, chunk_offsets, from_lists
from models.ragged import RaggedArray, RaggedBatch
from models.signature import VECTOR, Inputs, InputSpec, Signature
from models.vectors import VectorBuilder


@dataclass(slots=True)
class _Call:
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
        if self.request_of is None:
            self.request_of = self.batch.request_of()
        return self.request_of

    def slots(self, offsets: NDArray[np.int64]) -> Slots:
        key = offsets.tobytes()
        slots = self.slots_by_offsets.get(key)
        if slots is None:
            slots = self.slots_by_offsets[key] = Slots(offsets)
        return slots

    def ragged(self, name: str) -> RaggedArray:
        column = self.batch.requests[name]
        if not isinstance(column, RaggedArray):
            raise SignatureError(
                f"feature {name} is not ragged, so it has no sequences; use the source {name!r} without an ending"
            )
        return column


_Maker = Callable[[_Call], NDArray[Any]]


class InputAssembler:
    """Build a model's inputs, in training and in serving."""

    def __init__(
        self,
        signature: Signature,
        catalogue: Catalogue,
        *,
        whole_lists: bool = False,
        timelines: ItemTimelines | None = None,
    ) -> None:
        """Resolve every source once.

        Args:
            signature: declares the inputs.
            catalogue: has the item columns.
            whole_lists: with layout chunks, make each list one chunk, as in training.
            timelines: the item columns that training reads as of each list's time. None reads the catalogue, as in
                serving.

        Raises:
            SignatureError: a source is unknown, or the catalogue does not have its column.
        """
        self._padded = signature.layout != "flat"
        self._cut = signature.layout == "chunks" and not whole_lists
        self._inputs = [
            (spec.name, np.dtype(spec.dtype), self._maker(spec, signature, catalogue, timelines))
            for spec in signature.inputs
        ]

    def __call__(self, batch: RaggedBatch) -> Inputs:
        """Return contiguous arrays by input name.

        Raises:
            SignatureError: a feature with fixed shape was declared as ragged.
        """
        call = _Call(batch, self._row_offsets(batch))
        return {name: np.ascontiguousarray(make(call), dtype) for name, dtype, make in self._inputs}

    def flatten(self, outputs: Inputs, batch: RaggedBatch) -> Inputs:
        """Return per-candidate outputs as (N, ...), whatever the model's layout."""
        if not self._padded:
            return outputs
        offsets = self._row_offsets(batch)
        return {name: from_lists(values, offsets) for name, values in outputs.items()}

    def _row_offsets(self, batch: RaggedBatch) -> NDArray[np.int64]:
        return chunk_offsets(batch.offsets) if self._cut else batch.offsets

    def _maker(
        self, spec: InputSpec, signature: Signature, catalogue: Catalogue, timelines: ItemTimelines | None
    ) -> _Maker:
        make = (
            _vector_maker(spec, signature, catalogue, timelines)
            if spec.source.startswith(VECTOR)
            else _maker(spec, catalogue, timelines)
        )
        if self._padded and spec.per_candidate:
            return lambda call: call.slots(call.row_offsets).lists(make(call))
        return make


def _maker(spec: InputSpec, catalogue: Catalogue, timelines: ItemTimelines | None) -> _Maker:
    kind, _, name = spec.source.partition(".")
    if kind == "item":
        return _item_maker(spec, name, catalogue, timelines)
    if kind in {"user", "realtime", "context", "global"}:
        return _feature_maker(spec)
    if kind in {"candidate", *PER_CANDIDATE}:
        column = name if kind == "candidate" else spec.source
        return lambda call: call.batch.candidates[column]
    if spec.source not in _BATCH_MAKERS:
        raise SignatureError(
            f"input {spec.name}: unknown source, got {spec.source!r}; use item.*, user.*, realtime.*, context.*, "
            f"global.*, cell.*, live.*, candidate.*, vector.* or one of {', '.join(_BATCH_MAKERS)}"
        )
    return _BATCH_MAKERS[spec.source]


def _vector_maker(
    spec: InputSpec, signature: Signature, catalogue: Catalogue, timelines: ItemTimelines | None
) -> _Maker:
    name = spec.source.removeprefix(VECTOR)
    build = VectorBuilder((signature.vectors or {})[name], catalogue, name=name, timelines=timelines)
    width = spec.shape[0]
    return lambda call: build(call.batch, width, call.of_request())


def _item_maker(spec: InputSpec, name: str, catalogue: Catalogue, timelines: ItemTimelines | None) -> _Maker:
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

    def at_history(call: _Call) -> NDArray[Any]:
        rows = call.history_rows.get(base)
        if rows is None:
            rows = call.history_rows[base] = catalogue.rows_of_keys(call.ragged(base).values)
        if past is None:
            values = column.take(rows, axis=0, mode="wrap")  # row -1, an unknown item, is overwritten below
        else:
            lengths = np.diff(call.ragged(base).offsets)
            values = past.values(column_name, rows, np.repeat(past.times_of(call.batch), lengths))
        unknown = rows < 0
        if unknown.any():
            values[unknown] = 0
        return values

    return (
        (lambda call: call.slots(call.ragged(base).offsets).lists(at_history(call))) if part else at_history
    )


def _feature_maker(spec: InputSpec) -> _Maker:
    base, part = _split(spec, spec.source, ("", *_RAGGED_PARTS))
    if part:
        select = _RAGGED_PARTS[part]
        return lambda call: select(call, call.ragged(base))

    def values(call: _Call) -> NDArray[Any]:
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


def _chunk_of(call: _Call) -> NDArray[np.int64]:
    offsets = call.batch.offsets
    if call.row_offsets is offsets:
        return np.arange(len(call.batch), dtype=np.int64)
    return np.searchsorted(offsets, call.row_offsets[:-1], side="right") - 1


_BATCH_MAKERS: dict[str, _Maker] = {
    "batch.offsets": lambda call: call.batch.offsets,
    "batch.request_of": lambda call: call.of_request(),
    "batch.mask": lambda call: call.slots(call.row_offsets).mask,
    "batch.chunk_of": _chunk_of,
}
_RAGGED_PARTS: dict[str, Callable[[_Call, RaggedArray], NDArray[Any]]] = {
    "offsets": lambda _, column: column.offsets,
    "list": lambda call, column: call.slots(column.offsets).lists(column.values),
    "mask": lambda call, column: call.slots(column.offsets).mask,
}
