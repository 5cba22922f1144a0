"""Signatures: which tensors a model takes and gives, and where in a pipeline each input comes from.

An input's source is one of
    item.<column>                the catalogue's column, a row per candidate           (N, ...)
    item.<column>@user.<name>    the column at the items of a user's history           (T, ...), zeros if unknown
    user.<name>, realtime.<name>, context.<name>, global.<name>
                                 a per-request feature; ragged: its values             (B, ...) or (T, ...)
    cell.<name>                  a feature of the cell each candidate lies in          (N, ...)
    user.<name>:offsets          the offsets of a ragged feature, int64                (B + 1,)
    user.<name>:list             its values, padded with zeros to the batch's longest  (B, L, ...)
    user.<name>:mask             which slots of :list hold a value, bool               (B, L)
    item.<column>@user.<name>:list  the column at the history, padded the same way     (B, L, ...)
    candidate.<name>             what an earlier stage computed per candidate          (N, ...)
    batch.offsets                candidate offsets, int64                              (B + 1,)
    batch.request_of             the request of each candidate, int64                  (N,)
    batch.mask                   layouts list, chunks: slots that hold a candidate     (B, M) or (R, C)
    batch.chunk_of               the request of each chunk, int64; a list is one chunk (R,) or (B,)
What is said of user.<name> holds of realtime.<name> too.
Layouts. "flat": per-candidate inputs and outputs are (N, ...). "list": (B, M, ...), M the longest list of the
batch. "chunks": (R, C, ...), each request's candidates cut into chunks of C; for models whose candidates do
not see each other it is "list" without the padding of short lists to the longest.
"""

from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.features.definition import PER_CANDIDATE, DType

Inputs = dict[str, NDArray[Any]]
Layout = Literal["flat", "list", "chunks"]
ENCODED_HISTORY = "encoded_history"
"""The value inside an ONNX graph, (B, T, ...), that a history is encoded to before any candidate is looked at."""
_PER_CANDIDATE = ("item.", "candidate.", *(f"{group}." for group in PER_CANDIDATE))


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
            return ("chunks",) if layout == "chunks" else ("requests",)  # a list is one chunk
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
