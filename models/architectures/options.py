"""Options of the architectures: frozen, closed, and kept in the artifact, so that it can be built again."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.signature import PairSpec


class ScalarColumn(BaseModel):
    """A scalar feature and how it is turned into numbers a network can use.

    linear: standardised. log: log(1 + x), standardised. cyclic: sine and cosine of ``harmonics`` harmonics
    of the ``period``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    encoding: Literal["linear", "log", "cyclic"] = "linear"
    period: float = Field(default=0.0, ge=0)
    harmonics: int = Field(default=2, ge=1, le=8)

    @property
    def width(self) -> int:
        """Numbers it becomes."""
        return 2 * self.harmonics if self.encoding == "cyclic" else 1

    @model_validator(mode="after")
    def _cycles_have_a_period(self) -> Self:
        if (self.encoding == "cyclic") != (self.period > 0):
            raise ValueError(
                f"period of {self.name}: must be above 0 for the encoding cyclic and 0 for others, got {self.period:g} "
                f"for {self.encoding}"
            )
        return self


class Size(BaseModel):
    """Width and depth of a transformer: residual stream, heads, layers, feed-forward part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=64, ge=8, le=8192)
    heads: int = Field(default=4, ge=1, le=128)
    layers: int = Field(default=2, ge=1, le=128)
    hidden: int = Field(default=128, ge=8, le=32_768)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"width: must be a multiple of heads ({self.heads}), got {self.width}; change either"
            )
        return self


SIZES = {"default": Size(), "large": Size(width=1024, heads=16, layers=24, hidden=4096)}
"""Sizes by name. large has over 300 million parameters: one to split over devices."""


class Distance(BaseModel):
    """The way from a place of the request ("context.position") to an item column: latitude, longitude, degrees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str
    place: str


class RankerReads(BaseModel):
    """What a ranker reads, with the trailing shapes, () or (n,).

    request: features of the request beside the context, by source ("global.snow_cm", "realtime.walks").
    cells: features of the cell that a candidate lies in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: dict[str, tuple[int, ...]]
    context: tuple[ScalarColumn, ...] = ()
    profile: tuple[str, tuple[int, ...]] | None = None
    history: str = "history"
    history_values: tuple[ScalarColumn, ...] = ()
    request: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    cells: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    distances: tuple[Distance, ...] = ()


class HistoryRankerOptions(RankerReads, Size):
    """What a history ranker reads, and its size.

    number: the item column that is embedded, and the rows of its table.
    repeats: whether a candidate is told what the history says of that very item; needs number.
    """

    name: Literal["history_ranker"] = "history_ranker"
    number: tuple[str, int] | None = None
    repeats: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _repeats_are_told_by_number(self) -> Self:
        if self.repeats and self.number is None:
            raise ValueError(
                "repeats: needs number to find a candidate in the history; set number, or remove repeats"
            )
        return self


class PooledSize(BaseModel):
    """Size of a pooled ranker: its user vector, and its one feed-forward layer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=32, ge=4, le=1024)
    hidden: int = Field(default=32, ge=4, le=4096)


class PooledRankerOptions(RankerReads, PooledSize):
    """What a pooled ranker reads, and its size."""

    name: Literal["pooled_ranker"] = "pooled_ranker"


class ListwiseOptions(RankerReads, Size):
    """What a listwise reranker reads beside the ranker's scores, and its size."""

    name: Literal["listwise"] = "listwise"


class DlrmOptions(BaseModel):
    """Sizes of a DLRM; ``dense_per_request`` reads the dense features of the user, not of the candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["dlrm"] = "dlrm"
    dense: int = Field(default=13, ge=1)
    fields: int = Field(default=26, ge=1)
    rows: int = Field(default=100_000, ge=1)
    width: int = Field(default=64, ge=1)
    bottom: tuple[int, ...] = (256,)
    top: tuple[int, ...] = (256, 128, 64)
    dense_per_request: bool = False


class SequenceClassifierOptions(BaseModel):
    """A Hugging Face model that gives one score to a pair of texts: its config.json, and the texts it reads.

    types: whether it is told which text a token is of, as its own tokenizer's class says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["hf_sequence_classification"] = "hf_sequence_classification"
    config: dict[str, Any]
    pair: PairSpec
    types: bool = False
