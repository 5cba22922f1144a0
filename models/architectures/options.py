"""Options of the architectures: frozen, closed, and kept in the artifact, so that it can be built again."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
            raise ValueError(f"{self.name}: encoding cyclic, and only it, needs a period above 0")
        return self


class _Sized(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    items: dict[str, tuple[int, ...]]
    context: tuple[ScalarColumn, ...] = ()
    width: int = Field(default=64, ge=8)
    heads: int = Field(default=4, ge=1)
    layers: int = Field(default=2, ge=1)
    hidden: int = Field(default=128, ge=8)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}; change either")
        return self


class HistoryRankerOptions(_Sized):
    """Sizes of a history ranker; what it reads, with the trailing shapes, () or (n,)."""

    name: Literal["history_ranker"] = "history_ranker"
    profile: tuple[str, tuple[int, ...]] | None = None
    history: str = "history"
    history_values: tuple[ScalarColumn, ...] = ()
    position: str | None = None
    start: str | None = None

    @model_validator(mode="after")
    def _distance_has_both_ends(self) -> Self:
        if (self.position is None) != (self.start is None):
            raise ValueError("position and start make the distance together; name both or neither")
        return self


class ListwiseOptions(_Sized):
    """Sizes of a listwise reranker."""

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
