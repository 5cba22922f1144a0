"""The field ``fit`` of the models in the ``training:`` part of a pipeline's YAML."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Loss = Literal["softmax", "bce"]


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
