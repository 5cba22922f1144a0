"""The ``training:`` part of a pipeline's YAML."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.architectures.options import SIZES, Distance, PooledSize, ScalarColumn, Size
from models.datasets.config import EventsConfig
from models.features.rows import KeyedGroup

Loss = Literal["softmax", "bce"]
Share = Annotated[float, Field(ge=0, lt=1)]
SizeName = Literal["default", "large"]


class FitConfig(BaseModel):
    """How one model is fitted.

    max_lists: of the training lists, evenly over their time; None takes all.
    lists_per_step: impressions in one optimiser step. learning_rate: the peak, reached after the warm-up
    share of the steps, then decayed to zero along a cosine. patience: evaluations without a better NDCG@10
    on the selection half of the validation data before it stops. checkpoint_every_s: what a kill costs at most.
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
    """The ranker: which features it reads, its size and how it is fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...] = Field(
        min_length=1, description="catalogue columns read of candidates and history"
    )
    number: str | None = Field(
        default=None,
        description="item column of small whole numbers, each with a learned embedding; 0 is unknown",
    )
    repeats: bool = Field(
        default=False,
        description="add the history's values for the same item to each candidate; needs number",
    )
    context: tuple[ScalarColumn, ...] = ()
    profile: str | None = "profile"
    history: str = "history"
    history_values: tuple[ScalarColumn, ...] = Field(
        default=(ScalarColumn(name="history_rating"), ScalarColumn(name="history_age_days", encoding="log")),
        description="ragged user features with one value for each item of the history",
    )
    distances: tuple[Distance, ...] = ()
    request: tuple[str, ...] = Field(
        default=(), description="other features of the request: global.<name>, realtime.<name>, user.<name>"
    )
    cells: tuple[str, ...] = Field(default=(), description="features of the map cell of each candidate")
    size: SizeName | Size = "default"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    fit: FitConfig = FitConfig()

    @property
    def sizes(self) -> Size:
        """The size itself, named or given."""
        return SIZES[self.size] if isinstance(self.size, str) else self.size


class DistilledTraining(BaseModel):
    """A small ranker that learns the ranker's orders: what the fallback answers with.

    model: a name under ``models``; it reads what the ranker reads. temperature: of both lists' softmax.
    label_weight: share of the labels in the loss, the rest is the ranker's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "distilled"
    size: PooledSize = PooledSize()
    temperature: float = Field(default=2.0, gt=0, le=100)
    label_weight: float = Field(default=0.3, ge=0, le=1)
    fit: FitConfig = FitConfig(epochs=2, lists_per_step=64, learning_rate=5e-3)


class RerankerTraining(BaseModel):
    """The reranker: a small listwise model over the ranker's scored lists; it reads what the ranker reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...] = Field(default=(), description="further catalogue columns")
    size: Size = Size(width=32, heads=2, layers=1, hidden=64)
    fit: FitConfig = FitConfig(epochs=2)


class OverCatalogueConfig(BaseModel):
    """The data hold only what was chosen: lists are made of the whole catalogue.

    negatives: items drawn a training list, anew at each step. repeats: whether validation ranks what is in
    the user's history again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    negatives: int = Field(default=128, ge=1, le=65_536)
    repeats: bool = False


class TrainingConfig(BaseModel):
    """What ``rankway train`` makes of a data set.

    data: folder with the impressions ``train`` and ``valid``, relative to the home.
    events: the event log that data, catalogue and definitions are built from first, where that is a public one.
    over_catalogue: how lists are made of data that hold only what was chosen; None: lists are what was shown.
    max_train_lists, max_valid_lists: larger splits are thinned evenly over their time, None keeps all.
    unknown_share: of the training lists, by group (user, realtime): whose users are taken as ones that the store does
    not know, so that the model has met them.
    log_valid_share: of the lists of a log that is trained from, the latest, which quality is measured on.
    threads: one is fastest for models as small as the default; more pay from a width of some hundreds.
    precision: of the products in training; bfloat16 needs a GPU to be faster.
    reference: item column that ranks the popularity reference.
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
    ranker: RankerTraining
    reranker: RerankerTraining | None = None
    distilled: DistilledTraining | None = None

    @model_validator(mode="after")
    def _only_a_ranker_learns_from_the_catalogue(self) -> Self:
        if self.over_catalogue is not None and (self.reranker is not None or self.distilled is not None):
            raise ValueError(
                "over_catalogue: cannot be combined with reranker or distilled, which learn from shown lists; remove "
                "these or over_catalogue"
            )
        return self
