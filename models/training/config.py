"""The ``training:`` part of a pipeline's YAML."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from models.architectures.options import SIZES, Distance, PooledSize, ScalarColumn, Size
from models.datasets.config import EventsConfig
from models.features.rows import KeyedGroup
from models.vectors import FeatureName, Finite

Loss = Literal["softmax", "bce"]
Share = Annotated[float, Field(ge=0, lt=1)]
SizeName = Literal["default", "large"]


class FitConfig(BaseModel):
    """Options for fitting one model.

    Attributes:
        max_lists: maximum number of training lists, spaced evenly over time. None uses all.
        epochs: passes over the training lists.
        lists_per_step: lists in one optimiser step.
        learning_rate: peak learning rate, after the warm-up. It then decays to zero along a cosine.
        weight_decay: AdamW's weight decay.
        warmup: share of steps in which the learning rate rises.
        clip_norm: maximum gradient norm. Larger gradients are scaled down.
        evaluations_per_epoch: evaluations per epoch, on the selection half of the validation data.
        patience: evaluations without a better NDCG@10 before the training stops.
        checkpoint_every_s: seconds between checkpoints. A killed training loses at most this much work.
        loss: cross-entropy over the list's softmax, or binary cross-entropy per candidate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_lists: int | None = Field(default=None, ge=1)
    epochs: int = Field(default=3, ge=1, le=1000)
    lists_per_step: int = Field(default=128, ge=1, le=65_536)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0, le=10)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    evaluations_per_epoch: int = Field(default=1, ge=1, le=100)
    patience: int = Field(default=2, ge=1)
    checkpoint_every_s: float = Field(default=60.0, ge=0)
    loss: Loss = "softmax"


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


class DistilledTraining(BaseModel):
    """A small ranker for use as a fallback. It learns to order lists as the ranker does, and reads the same features.

    Attributes:
        model: its name under ``models``.
        temperature: softmax temperature for the scores of both models.
        label_weight: the labels' weight in the loss. The rest is the weight of the ranker's scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "distilled"
    size: PooledSize = PooledSize()
    temperature: float = Field(default=2.0, gt=0, le=100)
    label_weight: float = Field(default=0.3, ge=0, le=1)
    fit: FitConfig = FitConfig(epochs=2, lists_per_step=64, learning_rate=5e-3)


class RerankerTraining(BaseModel):
    """The reranker: a small listwise model over lists with the ranker's scores. It reads the ranker's features."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...] = Field(
        default=(), description="catalogue columns to read in addition to the ranker's features"
    )
    size: Size = Size(width=32, heads=2, layers=1, hidden=64)
    fit: FitConfig = FitConfig(epochs=2)


class OverCatalogueConfig(BaseModel):
    """Options for data that contain only chosen items. A list's other items come from the whole catalogue.

    Attributes:
        negatives: items drawn for each training list, again at each step.
        repeats: whether validation lists include items that are already in the user's history.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    negatives: int = Field(default=128, ge=1, le=65_536)
    repeats: bool = False


class TrainingConfig(BaseModel):
    """Options for ``rankway train``.

    Attributes:
        data: folder with the impressions ``train`` and ``valid``, relative to the home.
        events: public event log from which data, catalogue and definitions are built first.
        over_catalogue: options for data that contain only chosen items. None: the lists are the shown lists.
        max_train_lists: maximum number of training lists. A larger split is thinned evenly over time. None keeps all.
        max_valid_lists: the same for the validation lists.
        unknown_share: share of training lists, by group (user, realtime), in which the user is treated as unknown. So
            the model learns to rank for unknown users.
        log_valid_share: share of lists in a served log, the latest, that are used for validation.
        seed: seed for all random choices.
        threads: CPU threads. One is fastest for models as small as the default. More threads pay off from a width of
            several hundred.
        precision: precision of matrix products in training. bfloat16 is faster only on a GPU.
        reference: item column that orders the popularity reference. None leaves the reference out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    events: EventsConfig | None = None
    over_catalogue: OverCatalogueConfig | None = None
    max_train_lists: int | None = Field(default=None, ge=1)
    max_valid_lists: int | None = Field(default=None, ge=2)
    unknown_share: dict[KeyedGroup, Share] = Field(default_factory=dict)
    log_valid_share: float = Field(default=0.2, gt=0, lt=1)
    seed: int = Field(default=1, ge=0)
    threads: int = Field(default=1, ge=1, le=256)
    precision: Literal["float32", "bfloat16"] = "float32"
    reference: str | None = "popularity"
    ranker: RankerKind
    reranker: RerankerTraining | None = None
    distilled: DistilledTraining | None = None

    @model_validator(mode="after")
    def _only_a_ranker_learns_from_the_catalogue(self) -> Self:
        if self.over_catalogue is not None and (self.reranker is not None or self.distilled is not None):
            raise ValueError(
                "over_catalogue: cannot be combined with reranker or distilled, which learn from shown lists; remove "
                "reranker and distilled, or remove over_catalogue"
            )
        return self

    @model_validator(mode="after")
    def _only_a_history_ranker_teaches(self) -> Self:
        if self.ranker.kind != "history" and (self.reranker is not None or self.distilled is not None):
            raise ValueError(
                f"ranker.kind: {self.ranker.kind} cannot be combined with reranker or distilled, which read the "
                f"features of a history ranker; remove these"
            )
        return self
