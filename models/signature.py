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
    tokens.ids, tokens.mask, tokens.types  layout pairs: token ids, which slots hold a token, type ids (P, L) int64
What is said of user.<name> holds of realtime.<name> too.
Layouts. "flat": per-candidate inputs and outputs are (N, ...). "list": (B, M, ...), M the longest list of the
batch. "chunks": (R, C, ...), each request's candidates cut into chunks of C; for models whose candidates do
not see each other it is "list" without the padding of short lists to the longest. "pairs": (P, L, ...), a text of the
request and one of a candidate as the tokens of one sequence, P of them, as long as the longest; outputs are (P,).
"""

from typing import Any, Literal, Self

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.features.definition import PER_CANDIDATE, DType

Inputs = dict[str, NDArray[Any]]
Layout = Literal["flat", "list", "chunks", "pairs"]
ENCODED_HISTORY = "encoded_history"
"""The value inside an ONNX graph, (B, T, ...), that a history is encoded to before any candidate is looked at."""
TOKEN_SOURCES = ("tokens.ids", "tokens.mask", "tokens.types")
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
            rows = {"flat": (), "list": ("requests",), "chunks": ("chunks",), "pairs": ()}
            return (*rows[layout], "candidates")
        if layout == "pairs":
            return ("pairs", "tokens")
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


class PairSpec(BaseModel):
    """The two texts that a model of layout pairs reads as one sequence, and how it is cut.

    query: a text of the request ("context.query"). text: a property of the items' details ("details.summary").
    max_length: tokens of a sequence, those that the tokenizer puts around the texts included.
    truncation: longest_first takes tokens from the longer text until the rest fits, only_second from the item's.
    pad_id: the token that fills a sequence up to the longest beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(pattern=r"^context\.[a-z][a-z0-9_]*$")
    text: str = Field(pattern=r"^details\.[A-Za-z_][A-Za-z0-9_]*$")
    max_length: int = Field(ge=8, le=32_768)
    truncation: Literal["longest_first", "only_second"] = "longest_first"
    pad_id: int = Field(default=0, ge=0)


class Signature(BaseModel):
    """What a model takes and gives; ``pair`` goes with layout pairs, and only with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...] = (OutputSpec(name="score"),)
    layout: Layout = "flat"
    feature_hash: str = Field(default="", pattern=r"^([0-9a-f]{16})?$")
    pair: PairSpec | None = None

    @model_validator(mode="after")
    def _pairs_are_of_texts(self) -> Self:
        if (self.layout == "pairs") != (self.pair is not None):
            raise ValueError(
                f"pair: required for layout pairs and not allowed for others, got layout {self.layout}"
            )
        unknown = [s.source for s in self.inputs if self.pair is not None and s.source not in TOKEN_SOURCES]
        if unknown:
            raise ValueError(
                f"inputs: layout pairs has no source {', '.join(unknown)}; use {', '.join(TOKEN_SOURCES)}"
            )
        return self
