"""The field ``ranker`` of the ``training:`` part of a pipeline's YAML: one class per kind of ranker."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from models.architectures.options import SIZES, Distance, ScalarColumn, Size
from models.training.fit_config import FitConfig
from models.vectors import FeatureName, Finite

SizeName = Literal["default", "large"]


class RankerTraining(BaseModel):
    """The ranker: features to read, size, and training options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["history"] = "history"
    items: tuple[str, ...] = Field(
        min_length=1,
        description="catalogue columns to read for the candidates and for the items in the history",
    )
    number: str | None = Field(
        default=None,
        description="item column with small whole numbers. The model learns an embedding for each. 0 means unknown",
    )
    repeats: bool = Field(
        default=False,
        description="give each candidate the history values of the same item. Requires the field number",
    )
    context: tuple[ScalarColumn, ...] = ()
    profile: str | None = "profile"
    history: str = "history"
    history_values: tuple[ScalarColumn, ...] = Field(
        default=(ScalarColumn(name="history_rating"), ScalarColumn(name="history_age_days", encoding="log")),
        description="ragged user features with one value per history item",
    )
    distances: tuple[Distance, ...] = ()
    request: tuple[str, ...] = Field(
        default=(), description="other request features: global.<name>, realtime.<name>, user.<name>"
    )
    cells: tuple[str, ...] = Field(
        default=(), description="features of the candidate's cell, without the prefix cell."
    )
    size: SizeName | Size = "default"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    fit: FitConfig = FitConfig()

    @property
    def sizes(self) -> Size:
        """The size, looked up if it is configured by name."""
        return SIZES[self.size] if isinstance(self.size, str) else self.size


class LambdaMartTraining(BaseModel):
    """A LambdaMART ranker: LightGBM's trees over a vector of features, exported to ONNX.

    Attributes:
        features: features of the vector, in order. Empty: all that have a fixed shape.
        missing: the number that replaces a missing one. LightGBM learns a side for NaN at each split.
        trees: maximum number of trees.
        leaves: maximum leaves of a tree.
        min_rows: minimum training rows in a leaf.
        learning_rate: the weight of each tree.
        patience: trees without a better NDCG@10, on the selection half of the validation data, before training stops.
        max_lists: maximum number of training lists, spaced evenly over time. None uses all.
        history: the user feature with earlier items, which ``over_catalogue`` leaves out of validation lists.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lightgbm"]
    features: tuple[FeatureName, ...] = ()
    missing: Literal["nan"] | Finite = "nan"
    trees: int = Field(default=400, ge=1, le=10_000)
    leaves: int = Field(default=31, ge=2, le=4096)
    min_rows: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    patience: int = Field(default=40, ge=1)
    max_lists: int | None = Field(default=None, ge=1)
    history: str = "history"


def _kind_of(data: Any) -> str:
    kind = data.get("kind", "history") if isinstance(data, dict) else getattr(data, "kind", "history")
    return f"kind={kind}"


RankerKind = Annotated[
    Annotated[RankerTraining, Tag("kind=history")] | Annotated[LambdaMartTraining, Tag("kind=lightgbm")],
    Discriminator(
        _kind_of,
        custom_error_type="unknown_kind",
        custom_error_message="kind must be history or lightgbm",
    ),
]
