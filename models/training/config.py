"""The ``training:`` part of a pipeline's YAML."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.architectures.options import ScalarColumn

Loss = Literal["softmax", "bce"]


class FitConfig(BaseModel):
    """How one model is fitted.

    lists_per_step: impressions in one optimiser step. learning_rate: the peak, reached after the warm-up
    share of the steps, then decayed to zero along a cosine. patience: evaluations without a better NDCG@10
    on the selection half of the validation data before it stops.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=3, ge=1, le=1000)
    lists_per_step: int = Field(default=128, ge=1, le=65_536)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0, le=10)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    evaluations_per_epoch: int = Field(default=1, ge=1, le=100)
    patience: int = Field(default=2, ge=1)
    loss: Loss = "softmax"


class RankerTraining(BaseModel):
    """The ranker: which features it reads, its size and how it is fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...] = Field(
        min_length=1, description="catalogue columns read of candidates and history"
    )
    context: tuple[ScalarColumn, ...] = ()
    profile: str | None = "profile"
    history: str = "history"
    history_values: tuple[ScalarColumn, ...] = Field(
        default=(ScalarColumn(name="history_rating"), ScalarColumn(name="history_age_days", encoding="log")),
        description="ragged user features beside the history",
    )
    position: str | None = Field(default=None, description="context feature: latitude, longitude, degrees")
    start: str | None = Field(default=None, description="item column: latitude, longitude, degrees")
    width: int = Field(default=64, ge=8, le=8192)
    heads: int = Field(default=4, ge=1, le=128)
    layers: int = Field(default=2, ge=1, le=128)
    hidden: int = Field(default=128, ge=8, le=32_768)
    fit: FitConfig = FitConfig()


class RerankerTraining(BaseModel):
    """The reranker: a small listwise model over the ranker's scored lists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...] = Field(min_length=1)
    context: tuple[ScalarColumn, ...] = ()
    width: int = Field(default=32, ge=8, le=1024)
    heads: int = Field(default=2, ge=1, le=64)
    layers: int = Field(default=1, ge=1, le=16)
    hidden: int = Field(default=64, ge=8, le=8192)
    fit: FitConfig = FitConfig(epochs=2)


class TrainingConfig(BaseModel):
    """What ``rankway train`` makes of a data set.

    data: folder with the impressions ``train`` and ``valid``, relative to the home.
    max_train_lists, max_valid_lists: larger splits are thinned evenly over their time, None keeps all.
    threads: one is fastest for models as small as the default; more pay from a width of some hundreds.
    reference: item column that ranks the popularity reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    max_train_lists: int | None = Field(default=None, ge=1)
    max_valid_lists: int | None = Field(default=None, ge=2)
    seed: int = Field(default=1, ge=0)
    threads: int = Field(default=1, ge=1, le=256)
    reference: str | None = "popularity"
    ranker: RankerTraining
    reranker: RerankerTraining | None = None
