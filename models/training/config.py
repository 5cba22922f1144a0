"""The ``training:`` part of a pipeline's YAML."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.architectures.options import HyperSize, PooledSize, Size
from models.datasets.config import EventsConfig
from models.features.rows import KeyedGroup
from models.training.fit_config import FitConfig
from models.training.ranker_config import RankerKind

Share = Annotated[float, Field(ge=0, lt=1)]


class DistilledTraining(BaseModel):
    """A small ranker for use as a fallback. It learns to order lists as the ranker does, and reads the same features.

    Attributes:
        model: its name under ``models``.
        size: size of a pooled ranker.
        hyper: size of a hyper ranker, which is faster. None: the fallback is a pooled ranker.
        without: features of the ranker that the fallback does not read, such as "item.embedding" or "context.hour".
        temperature: softmax temperature for the scores of both models.
        label_weight: the labels' weight in the loss. The rest is the weight of the ranker's scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "distilled"
    size: PooledSize = PooledSize()
    hyper: HyperSize | None = None
    without: tuple[str, ...] = ()
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
        precision: precision of matrix products in training. bfloat16 is faster on GPUs, and on CPUs with avx512_bf16
            or AMX.
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
