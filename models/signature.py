"""Signatures: a model's input and output tensors, and each input's source in a pipeline.

Sizes: N candidates, B requests, T values of a ragged feature. An input's source is one of

    item.<column>                the catalogue's column, one row per candidate         (N, ...)
    item.<column>@user.<name>    the column for the items in a user's history          (T, ...), zeros if unknown
    user.<name>, realtime.<name>, context.<name>, global.<name>
                                 a per-request feature, or a ragged feature's values   (B, ...) or (T, ...)
    cell.<name>                  a feature of the candidate's cell                     (N, ...)
    live.<name>                  a live feature of the candidate                       (N, ...)
    user.<name>:offsets          a ragged feature's offsets, int64                     (B + 1,)
    user.<name>:list             a ragged feature's values, zero-padded to length L    (B, L, ...)
    user.<name>:mask             True for slots of :list that hold a value             (B, L)
    item.<column>@user.<name>:list  the column for the history, padded the same way    (B, L, ...)
    candidate.<name>             a column that an earlier stage computed               (N, ...)
    vector.<name>                the vector that ``vectors`` declares, float32         (N, F)
    batch.offsets                candidate offsets, int64                              (B + 1,)
    batch.request_of             each candidate's request, int64                       (N,)
    batch.mask                   layouts list, chunks: slots that hold a candidate     (B, M) or (R, C)
    batch.chunk_of               each chunk's request, int64. A list is one chunk      (R,) or (B,)
    tokens.ids                   layout pairs: token ids, int64                        (P, L)
    tokens.mask                  layout pairs: 1 for slots that hold a token, int64    (P, L)
    tokens.types                 layout pairs: the tokens' type ids, int64             (P, L)

realtime.<name> has the same parts as user.<name>.

The layout determines the shape of per-candidate inputs and outputs:

- flat: (N, ...).
- list: (B, M, ...), with M the batch's longest list.
- chunks: (R, C, ...). The batch's lists are cut into R chunks of at most C candidates. If a model scores candidates
  independently, the scores are the same as with list, but short lists are not padded to the longest.
- pairs: inputs (P, L, ...), outputs (P,). Each of the P sequences joins the tokens of the request's text and a
  candidate's text. They are padded to the longest sequence, L.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.features.definition import PER_CANDIDATE, DType
from models.vectors import VectorSpec, split_name

Inputs = dict[str, NDArray[Any]]
Layout = Literal["flat", "list", "chunks", "pairs"]
ENCODED_HISTORY = "encoded_history"
"""Name of the encoded history (B, T, ...) in an ONNX graph. It does not depend on the candidates."""
TOKEN_SOURCES = ("tokens.ids", "tokens.mask", "tokens.types")
OUTPUT_AXES: Mapping[Layout, tuple[str, ...]] = {
    "flat": ("candidates",),
    "list": ("requests", "candidates"),
    "chunks": ("chunks", "candidates"),
    "pairs": ("pairs",),
}
"""The leading axes of outputs, and of inputs with one row per candidate. Pairs have no such inputs."""
VECTOR_TYPES = frozenset({"float32", "float64", "float16"})
"""Types of inputs that read a vector. Its numbers are float32 first."""
VECTOR = "vector."
_PER_CANDIDATE = ("item.", "candidate.", VECTOR, *(f"{group}." for group in PER_CANDIDATE))


def column_of(source: str) -> str:
    """Return the column of a batch that a source reads: ``user.history`` for ``item.start@user.history:list``."""
    base = source.partition(":")[0]
    return base.partition("@")[2] or base


class InputSpec(BaseModel):
    """One input tensor: its name in the model, dtype, trailing shape and source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    dtype: DType | Literal["bool"] = "float32"
    shape: tuple[int, ...] = ()

    @property
    def per_candidate(self) -> bool:
        """Whether the input has one row per candidate."""
        return self.source.startswith(_PER_CANDIDATE) and "@" not in self.source


class OutputSpec(BaseModel):
    """One output tensor, with one row per candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    shape: tuple[int, ...] = ()


class PairSpec(BaseModel):
    """The two texts that a model with layout pairs reads as one sequence, and their truncation.

    Attributes:
        query: a request text, such as "context.query".
        text: a property in the items' details, such as "details.summary".
        max_length: maximum tokens per sequence, including the tokens that the tokenizer adds around the texts.
        truncation: longest_first removes tokens from the longer text until the pair fits, only_second removes tokens
            from the item's text.
        pad_id: the token that pads sequences to a common length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(pattern=r"^context\.[a-z][a-z0-9_]*$")
    text: str = Field(pattern=r"^details\.[A-Za-z_][A-Za-z0-9_]*$")
    max_length: int = Field(ge=8, le=32_768)
    truncation: Literal["longest_first", "only_second"] = "longest_first"
    pad_id: int = Field(default=0, ge=0)


class Signature(BaseModel):
    """A model's inputs and outputs. Only layout pairs has a ``pair``.

    Attributes:
        vectors: features by vector name, for inputs with the source vector.<name>.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...] = (OutputSpec(name="score"),)
    layout: Layout = "flat"
    feature_hash: str = Field(default="", pattern=r"^([0-9a-f]{16})?$")
    pair: PairSpec | None = None
    vectors: dict[str, VectorSpec] | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a batch that the inputs and vectors read, "<group>.<name>"."""
        of_vectors = [
            ".".join(split_name(name)[:2]) for spec in (self.vectors or {}).values() for name in spec.features
        ]
        return frozenset([column_of(spec.source) for spec in self.inputs] + of_vectors)

    def axes(self, spec: InputSpec) -> tuple[str, ...]:
        """Return the names of an input's leading axes. Axes with the same name have the same length in one call.

        The length of "offsets" is that of "requests" and 1 more. "longest user.history" is the length of the padded
        lists of a feature, and "values of user.history" the number of its values in all lists.
        """
        base, _, part = spec.source.partition(":")
        feature = base.partition("@")[2] or base
        match spec.source:
            case "batch.offsets":
                return ("offsets",)
            case "batch.chunk_of":
                return ("chunks",) if self.layout == "chunks" else ("requests",)  # a list is one chunk
            case "batch.request_of":
                return ("candidates",) if self.layout == "flat" else ("values of batch",)
        if spec.per_candidate or spec.source == "batch.mask":
            return OUTPUT_AXES[self.layout]
        if self.layout == "pairs":
            return ("pairs", "tokens")
        if part == "offsets":
            return ("offsets",)
        if part:
            return ("requests", f"longest {feature}")
        is_ragged = "@" in base or any(other.source == f"{base}:offsets" for other in self.inputs)
        return (f"values of {feature}",) if is_ragged else ("requests",)

    @model_validator(mode="after")
    def _pairs_are_of_texts(self) -> Self:
        if (self.layout == "pairs") != (self.pair is not None):
            raise ValueError(
                f"pair: required for layout pairs and not allowed for other layouts, got layout {self.layout}"
            )
        unknown = [s.source for s in self.inputs if self.pair is not None and s.source not in TOKEN_SOURCES]
        if unknown:
            raise ValueError(
                f"inputs: layout pairs does not have the source {', '.join(unknown)}; use {', '.join(TOKEN_SOURCES)}"
            )
        return self

    @model_validator(mode="after")
    def _vectors_are_read(self) -> Self:
        declared = set(self.vectors or {})
        read = {s.source.removeprefix(VECTOR): s for s in self.inputs if s.source.startswith(VECTOR)}
        for name, spec in read.items():
            if name not in declared:
                raise ValueError(
                    f"input {spec.name}: vectors has no {name!r}; declare its features there, or use one of "
                    f"{', '.join(sorted(declared)) or 'none'}"
                )
            if len(spec.shape) != 1 or spec.dtype not in VECTOR_TYPES:
                raise ValueError(
                    f"input {spec.name}: a vector has the shape (F,) and dtype float32, float64 or float16, "
                    f"got {spec.shape} and {spec.dtype}; declare these"
                )
        if unused := sorted(declared - set(read)):
            raise ValueError(f"vectors: no input reads {', '.join(unused)}; remove it")
        return self
