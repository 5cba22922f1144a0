"""Architecture options. An artifact stores them, so that its module can be built again."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.architectures.linear_sizes import Resizable
from models.signature import PairSpec


class ScalarColumn(BaseModel):
    """A scalar feature and its encoding as network inputs.

    Attributes:
        encoding: ``linear`` for the value, ``log`` for log(1 + x), ``cyclic`` for the sines and cosines of
            its harmonics. All are standardised.
        period: cycle length, in the feature's unit. 0 unless the encoding is ``cyclic``.
        harmonics: sine and cosine pairs for a cyclic feature.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    encoding: Literal["linear", "log", "cyclic"] = "linear"
    period: float = Field(default=0.0, ge=0)
    harmonics: int = Field(default=2, ge=1, le=8)

    @property
    def width(self) -> int:
        """Number of network inputs for the feature."""
        return 2 * self.harmonics if self.encoding == "cyclic" else 1

    @model_validator(mode="after")
    def _cycles_have_a_period(self) -> Self:
        if (self.encoding == "cyclic") != (self.period > 0):
            raise ValueError(
                f"period of {self.name}: must be above 0 for encoding cyclic and 0 for other encodings, got "
                f"{self.period:g} "
                f"for encoding {self.encoding}"
            )
        return self


class Size(BaseModel):
    """Transformer size.

    Attributes:
        width: residual stream width.
        heads: attention heads per layer.
        hidden: feed-forward width.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=64, ge=8, le=8192)
    heads: int = Field(default=4, ge=1, le=128)
    layers: int = Field(default=2, ge=1, le=128)
    hidden: int = Field(default=128, ge=8, le=32_768)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"width: must be a multiple of heads ({self.heads}), got {self.width}; change width or heads"
            )
        return self


SIZES = {"default": Size(), "large": Size(width=1024, heads=16, layers=24, hidden=4096)}
"""Sizes by name. ``large`` has over 300 million parameters, and is meant to be split over devices."""


class Distance(BaseModel):
    """A distance from a request position to an item position, both latitude and longitude in degrees.

    Attributes:
        origin: the request feature, such as "context.position".
        place: the item column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str
    place: str


class RankerReads(BaseModel):
    """The features that a ranker reads, with their trailing shapes, () or (n,).

    Attributes:
        items: item columns, read for the candidates and for the history's items.
        context: scalar context features.
        profile: the user feature with the profile, and its shape.
        history: the ragged user feature with the rated items.
        history_values: ragged user features with one value per history item.
        request: further request features by source, such as "global.snow_cm" or "realtime.walks".
        cells: features of the candidate's map cell.
        distances: distances from the request to the candidate.
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


class HistoryRankerOptions(RankerReads, Size, Resizable):
    """The features that a history ranker reads, and its size.

    Attributes:
        number: the item column that is embedded, and the row count of the embedding table.
        repeats: whether each candidate gets the history's values for the same item. Needs ``number``.
        dropout: dropout rate for embeddings and residual updates.
    """

    name: Literal["history_ranker"] = "history_ranker"
    number: tuple[str, int] | None = None
    repeats: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _repeats_are_told_by_number(self) -> Self:
        if self.repeats and self.number is None:
            raise ValueError(
                "repeats: requires the field number, by which a candidate is found in the history; set number, or "
                "remove repeats"
            )
        return self


class PooledSize(BaseModel):
    """Size of a pooled ranker.

    Attributes:
        width: user vector width.
        hidden: width of the only feed-forward layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=32, ge=4, le=1024)
    hidden: int = Field(default=32, ge=4, le=4096)


class PooledRankerOptions(RankerReads, PooledSize, Resizable):
    """The features that a pooled ranker reads, and its size."""

    name: Literal["pooled_ranker"] = "pooled_ranker"


class HyperSize(BaseModel):
    """Size of a hyper ranker.

    Attributes:
        pooled: width of the pooled history.
        width: width of the code that generates the layer over the candidates.
        hidden: width of this layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooled: int = Field(default=32, ge=4, le=4096)
    width: int = Field(default=16, ge=4, le=1024)
    hidden: int = Field(default=16, ge=4, le=1024)


class HyperRankerOptions(RankerReads, HyperSize, Resizable):
    """The features that a hyper ranker reads, and its size."""

    name: Literal["hyper_ranker"] = "hyper_ranker"


class ListwiseOptions(RankerReads, Size, Resizable):
    """The features that a listwise reranker reads in addition to the ranker's scores, and its size."""

    name: Literal["listwise"] = "listwise"


class DlrmOptions(Resizable):
    """DLRM sizes.

    Attributes:
        dense: dense features.
        fields: sparse fields.
        rows: embedding rows per sparse field.
        width: embedding width.
        bottom: hidden widths of the network over the dense features.
        top: hidden widths of the network over the dot products.
        dense_per_request: whether the dense features belong to the user instead of the candidate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["dlrm"] = "dlrm"
    dense: int = Field(default=13, ge=1)
    fields: int = Field(default=26, ge=1)
    rows: int = Field(default=100_000, ge=1)
    width: int = Field(default=64, ge=1)
    bottom: tuple[int, ...] = (256,)
    top: tuple[int, ...] = (256, 128, 64)
    dense_per_request: bool = False


class SequenceClassifierOptions(Resizable):
    """A Hugging Face model that scores text pairs.

    Attributes:
        config: content of its config.json.
        pair: the two texts, and the maximum pair length in tokens.
        types: whether the model gets token types, which tell the first text from the second. Some tokenizer classes
            do not produce them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["hf_sequence_classification"] = "hf_sequence_classification"
    config: dict[str, Any]
    pair: PairSpec
    types: bool = False
