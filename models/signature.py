"""Signatures: which tensors a model takes and gives, and where in a pipeline each input comes from.

An input's source is one of
    item.<column>                the catalogue's column, a row per candidate           (N, ...)
    item.<column>@user.<name>    the column at the items of a user's history           (T, ...), zeros if unknown
    user.<name>, context.<name>  a per-request feature; ragged: its values             (B, ...) or (T, ...)
    user.<name>:offsets          the offsets of a ragged feature, int64                (B + 1,)
    user.<name>:list             its values, padded with zeros to the batch's longest  (B, L, ...)
    user.<name>:mask             which slots of :list hold a value, bool               (B, L)
    item.<column>@user.<name>:list  the column at the history, padded the same way     (B, L, ...)
    candidate.<name>             what an earlier stage computed per candidate          (N, ...)
    batch.offsets                candidate offsets, int64                              (B + 1,)
    batch.request_of             the request of each candidate, int64                  (N,)
    batch.mask                   layouts list, chunks: slots that hold a candidate     (B, M) or (R, C)
    batch.chunk_of               layout chunks: the request of each chunk, int64       (R,)
Layouts. "flat": per-candidate inputs and outputs are (N, ...). "list": (B, M, ...), M the longest list of the
batch. "chunks": (R, C, ...), each request's candidates cut into chunks of C; for models whose candidates do
not see each other it is "list" without the padding of short lists to the longest.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.features.definition import DType
from models.ragged import RaggedArray, RaggedBatch, offsets_of

Inputs = dict[str, NDArray[Any]]
Layout = Literal["flat", "list", "chunks"]
_PER_CANDIDATE = ("item.", "candidate.")
_CHUNK_SIZES = (32, 64, 128, 256, 512)
_SMALLEST_CHUNK = 16
_COST_OF_A_CHUNK = 8
"""What a chunk costs beside its slots, in slots: measured on the history ranker with one thread."""


class InputSpec(BaseModel):
    """One input tensor: its name in the model, dtype, trailing shape and source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    dtype: DType | Literal["bool"] = "float32"
    shape: tuple[int, ...] = ()

    @property
    def per_candidate(self) -> bool:
        """Whether it has a row per candidate."""
        return self.source.startswith(_PER_CANDIDATE) and "@" not in self.source

    def axes(self, layout: Layout) -> tuple[str, ...]:
        """Name the leading axes: equal names have equal lengths in one call."""
        if self.per_candidate or self.source in {"batch.request_of", "batch.mask"}:
            rows = {"flat": (), "list": ("requests",), "chunks": ("chunks",)}
            return (*rows[layout], "candidates")
        if self.source == "batch.chunk_of":
            return ("chunks",)
        base, _, part = self.source.partition(":")
        feature = base.partition("@")[2] or base
        if part in {"list", "mask"}:
            return ("requests", "longest")
        if part == "offsets" or self.source == "batch.offsets":
            return ("offsets",)
        return (f"values of {feature}",) if "@" in base else ("requests",)


class OutputSpec(BaseModel):
    """One output tensor, a row per candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    shape: tuple[int, ...] = ()


class Signature(BaseModel):
    """What a model takes and gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...] = (OutputSpec(name="score"),)
    layout: Layout = "flat"
    feature_hash: str = Field(default="", pattern=r"^([0-9a-f]{16})?$")


class InputAssembler:
    """Builds a model's inputs from a ragged batch and the catalogue; used in training and serving alike."""

    def __init__(self, signature: Signature, catalogue: Catalogue, *, whole_lists: bool = False) -> None:
        """Resolve every source once. ``whole_lists``: under layout chunks every list is one chunk, as in training.

        Raises:
            SignatureError: a source is not of the grammar, or the catalogue lacks the column.
        """
        self._layout = signature.layout
        self._cuts = signature.layout == "chunks" and not whole_lists
        self._makers = [(spec, _maker(spec, catalogue)) for spec in signature.inputs]

    def __call__(self, batch: RaggedBatch) -> Inputs:
        """Give contiguous arrays by input name."""
        inputs: Inputs = {}
        offsets = self._row_offsets(batch)
        for spec, make in self._makers:
            values = make(batch) if spec.source not in _OF_ROWS else _OF_ROWS[spec.source](batch, offsets)
            if self._layout != "flat" and spec.per_candidate:
                values = to_lists(values, offsets)
            inputs[spec.name] = np.ascontiguousarray(values, dtype=spec.dtype)
        return inputs

    def flatten(self, outputs: Inputs, batch: RaggedBatch) -> Inputs:
        """Give per-candidate outputs as (N, ...), whatever the model's layout."""
        if self._layout == "flat":
            return outputs
        offsets = self._row_offsets(batch)
        return {name: from_lists(values, offsets) for name, values in outputs.items()}

    def _row_offsets(self, batch: RaggedBatch) -> NDArray[np.int64]:
        """Give where the rows of a padded layout begin and end among the candidates."""
        return chunk_offsets(batch.offsets) if self._cuts else batch.offsets


def to_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Give (N, ...) as (B, M, ...); a view when all lists are equally long, else zero-padded."""
    lengths = np.diff(offsets)
    longest = int(lengths.max(initial=0))
    if int(lengths.min(initial=longest)) == longest:
        return values.reshape(len(lengths), longest, *values.shape[1:])
    padded = np.zeros((len(lengths), longest, *values.shape[1:]), dtype=values.dtype)
    padded[mask_of(offsets)] = values
    return padded


def chunk_offsets(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut requests [offsets[i], offsets[i + 1]) into chunks; give the chunks' offsets (R + 1,).

    The size is the one that pays least for slots, padding included, and for chunks.
    """
    lengths = np.diff(offsets)
    longest, shortest = int(lengths.max(initial=1)), int(lengths.min(initial=1))
    if longest == shortest:
        return offsets
    sizes = np.array([*(s for s in (*_CHUNK_SIZES, shortest) if _SMALLEST_CHUNK <= s < longest), longest])
    chunks = -(-lengths[None, :] // sizes[:, None])  # rounded up, (sizes, B)
    best = int(np.argmin(chunks.sum(axis=1) * (sizes + _COST_OF_A_CHUNK)))
    counts = chunks[best]
    place = np.arange(int(counts.sum())) - np.repeat(offsets_of(counts)[:-1], counts)
    starts = np.repeat(offsets[:-1], counts) + sizes[best] * place
    return np.append(starts, offsets[-1])


def from_lists(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Give (B, M, ...) as (N, ...), without the padding."""
    if values.shape[0] * values.shape[1] == offsets[-1]:
        return values.reshape(-1, *values.shape[2:])
    return np.ascontiguousarray(values[mask_of(offsets)])


def mask_of(offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Give bool (B, M): which slots of padded lists hold a candidate."""
    lengths = np.diff(offsets)
    return np.asarray(np.arange(int(lengths.max(initial=0)))[None, :] < lengths[:, None])


def _maker(spec: InputSpec, catalogue: Catalogue) -> Callable[[RaggedBatch], NDArray[Any]]:
    source = spec.source
    kind, _, name = source.partition(".")
    if kind == "item":
        column_name, _, history = name.partition("@")
        if column_name not in catalogue.columns:
            raise SignatureError(
                f"input {spec.name}: the catalogue {catalogue.manifest.name} has no column {column_name!r}; "
                f"it has {', '.join(catalogue.columns)}"
            )
        column = catalogue.columns[column_name]
        if tuple(column.shape[1:]) != spec.shape:
            raise SignatureError(
                f"input {spec.name}: shape {spec.shape} was declared, the catalogue's column {column_name} "
                f"has {tuple(column.shape[1:])}"
            )
        if history:
            base, part = _split(spec, history, ("", "list"))
            if part:
                return lambda batch: to_lists(
                    _at_history(column, catalogue, batch, base), _ragged(batch, base).offsets
                )
            return lambda batch: _at_history(column, catalogue, batch, base)
        return lambda batch: column.take(batch.rows, axis=0)
    if kind in {"user", "context"}:
        base, part = _split(spec, source, ("", *_RAGGED_PARTS))
        ragged_part = _RAGGED_PARTS.get(part)
        if ragged_part is None:
            return lambda batch: _values(batch, base)
        return lambda batch: ragged_part(_ragged(batch, base))
    if kind == "candidate":
        return lambda batch: batch.candidates[name]
    makers: dict[str, Callable[[RaggedBatch], NDArray[Any]]] = {
        "batch.offsets": lambda batch: batch.offsets,
        "batch.request_of": lambda batch: batch.request_of(),
    }
    if source in _OF_ROWS:
        return lambda batch: _OF_ROWS[source](batch, batch.offsets)
    if source not in makers:
        raise SignatureError(
            f"input {spec.name}: source {source!r} is unknown; use item.*, user.*, context.*, candidate.* "
            f"or one of {', '.join((*makers, *_OF_ROWS))}"
        )
    return makers[source]


_OF_ROWS: dict[str, Callable[[RaggedBatch, NDArray[np.int64]], NDArray[Any]]] = {
    "batch.mask": lambda _, offsets: mask_of(offsets),
    "batch.chunk_of": lambda batch, offsets: np.searchsorted(batch.offsets, offsets[:-1], side="right") - 1,
}
_RAGGED_PARTS: dict[str, Callable[[RaggedArray], NDArray[Any]]] = {
    "offsets": lambda column: column.offsets,
    "list": lambda column: to_lists(column.values, column.offsets),
    "mask": lambda column: mask_of(column.offsets),
}


def _split(spec: InputSpec, source: str, allowed: tuple[str, ...]) -> tuple[str, str]:
    base, _, part = source.partition(":")
    if part not in allowed:
        raise SignatureError(
            f"input {spec.name}: source {spec.source!r} ends in ':{part}'; here only "
            f"{', '.join(f':{name}' for name in allowed if name)} may follow a name"
        )
    return base, part


def _values(batch: RaggedBatch, name: str) -> NDArray[Any]:
    column = batch.requests[name]
    return column.values if isinstance(column, RaggedArray) else column


def _ragged(batch: RaggedBatch, name: str) -> RaggedArray:
    column = batch.requests[name]
    if not isinstance(column, RaggedArray):
        raise SignatureError(f"feature {name} is not ragged: it has no offsets; take {name!r} itself")
    return column


def _at_history(column: NDArray[Any], catalogue: Catalogue, batch: RaggedBatch, history: str) -> NDArray[Any]:
    rows = catalogue.rows_of_keys(_ragged(batch, history).values)
    values = column.take(rows.clip(min=0), axis=0)
    values[rows < 0] = 0
    return values
